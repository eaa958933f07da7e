import { createContext, useContext, useEffect, useRef, useState, type ReactNode } from "react";
import { Refusal } from "@tidings/client";
import { useClient } from "@tidings/react";
import { useDoing } from "./doing.ts";
import { ProofForm, type Proof } from "./proof.tsx";

/** Whether the server wants the password again before something. */
const wantsPassword = (error: unknown) => error instanceof Refusal && error.code === "password_again";

/** Asks somebody to prove once more who they are; whether they have. */
type Ask = (question: string) => Promise<boolean>;

const Asking = createContext<Ask>(() => Promise.resolve(false));

/** The place where what is below asks for the password again. */
export function Proofs({ children }: { children: ReactNode }) {
  const [asked, setAsked] = useState<{ question: string; answer: (given: boolean) => void }>();
  const [ask] = useState(
    () => (question: string) => new Promise<boolean>((answer) => setAsked({ question, answer })),
  );
  const end = (given: boolean) => {
    asked?.answer(given);
    setAsked(undefined);
  };
  return (
    <Asking value={ask}>
      {children}
      {asked && <Dialog question={asked.question} confirmed={() => end(true)} close={() => end(false)} />}
    </Asking>
  );
}

/**
 * Does what the server may want the password for again: then it is asked for, and the same is done once more. Who does not
 * give it gets the refusal.
 */
export function useProved(question: string): <T>(act: () => Promise<T>) => Promise<T> {
  const ask = useContext(Asking);
  return async (act) => {
    try {
      return await act();
    } catch (error) {
      if (!wantsPassword(error) || !(await ask(question))) throw error;
      return act();
    }
  };
}

/** A button for what the server may want the password for again. */
export function Confirmed(props: {
  label: string;
  question: string;
  act: () => Promise<unknown>;
  done: string;
}) {
  const { label, question, act, done } = props;
  const proved = useProved(question);
  const [said, say] = useState<string>();
  const [busy, doing] = useDoing();
  const go = () =>
    doing(async () => {
      say(undefined);
      try {
        await proved(act);
        say(done);
      } catch (error) {
        say(words(error));
      }
    });
  return (
    <>
      <button type="button" disabled={busy} onClick={() => void go()}>
        {label}
      </button>
      <span role="status" className="said">
        {said}
      </span>
    </>
  );
}

const words = (error: unknown) => (error instanceof Error ? error.message : "It did not work.");

function Dialog(props: { question: string; confirmed: () => void; close: () => void }) {
  const { question, confirmed, close } = props;
  const client = useClient();
  const dialog = useRef<HTMLDialogElement>(null);
  const [asksCode, askCode] = useState(false);
  const [refused, refuse] = useState<string>();
  const [busy, setBusy] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);
  const give = async (proof: Proof) => {
    setBusy(true);
    refuse(undefined);
    try {
      await client.request("/api/auth/confirm", { method: "POST", body: JSON.stringify(proof) });
      confirmed();
    } catch (error) {
      // That a code is needed is no refusal of what was given: its field comes.
      if (error instanceof Refusal && error.code === "second_factor" && !asksCode) askCode(true);
      else refuse(words(error));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} aria-label="Your password again" onClose={close}>
      <p>{question}</p>
      <ProofForm
        asksCode={asksCode}
        focusesCode
        busy={busy}
        refused={refused}
        title="Go on"
        go={(proof) => void give(proof)}
        cancel={() => dialog.current?.close()}
      />
    </dialog>
  );
}
