import { useId, type FormEvent } from "react";
import { fieldOf, secretOf } from "./form.ts";

/** What somebody proves with who they are. */
export interface Proof {
  password: string;
  code?: string;
}

/** A field for the code of a second factor, or for a recovery code. */
export function CodeField({ focused = false, hasCodes = true }: { focused?: boolean; hasCodes?: boolean }) {
  const id = useId();
  return (
    <>
      <label htmlFor={id}>
        Code of your second factor
        <input
          id={id}
          name="code"
          required
          autoFocus={focused}
          autoComplete="one-time-code"
          autoCapitalize="off"
          spellCheck={false}
          maxLength={64}
          aria-describedby={`${id}-hint`}
        />
      </label>
      <p id={`${id}-hint`} className="hint">
        Six digits of your app{hasCodes && ", or a recovery code"}.
      </p>
    </>
  );
}

/** Asks for the password again, and for a code where there is a second factor. */
export function ProofForm(props: {
  asksCode: boolean;
  /** The field for the code has just come, and is what is typed next. */
  focusesCode?: boolean;
  busy: boolean;
  refused: string | undefined;
  title: string;
  go: (proof: Proof) => void;
  cancel?: () => void;
}) {
  const { asksCode, focusesCode = false, busy, refused, title, go, cancel } = props;
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const code = fieldOf(form, "code");
    go({ password: secretOf(form, "password"), ...(code === "" ? {} : { code }) });
  };
  return (
    <form className="publish" onSubmit={submit}>
      <label>
        Your password
        <input name="password" type="password" required autoComplete="current-password" />
      </label>
      {asksCode && <CodeField focused={focusesCode} />}
      <p role="alert" className="refused">
        {refused}
      </p>
      <div className="actions">
        {cancel && (
          <button type="button" onClick={cancel}>
            Cancel
          </button>
        )}
        <button type="submit" disabled={busy}>
          {title}
        </button>
      </div>
    </form>
  );
}
