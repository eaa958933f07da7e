import { useEffect, useRef, useState } from "react";
import { Refusal } from "@tidings/client";
import { useClient } from "@tidings/react";
import { useDoing } from "./doing.ts";
import { ProofForm, type Proof } from "./proof.tsx";

/** Whether the server wants the password again before something. */
const wantsPassword = (error: unknown) => error instanceof Refusal && error.code === "password_again";

/**
 * A button for what the server may want the password for again: then it is asked for, and the same is done once more.
 */
export function Confirmed(props: {
  label: string;
  question: string;
  act: () => Promise<unknown>;
  done: string;
}) {
  const { label, question, act, done } = props;
  const [asks, ask] = useState(false);
  const [said, say] = useState<string>();
  const [busy, doing] = useDoing();
  const button = useRef<HTMLButtonElement>(null);
  const go = () =>
    doing(async () => {
      say(undefined);
      try {
        await act();
        say(done);
      } catch (error) {
        if (wantsPassword(error)) ask(true);
        else say(words(error));
      }
    });
  const confirmed = () => {
    ask(false);
    // The dialog goes without having been closed, which would have put it there.
    button.current?.focus();
    void go();
  };
  return (
    <>
      <button ref={button} type="button" disabled={busy} onClick={() => void go()}>
        {label}
      </button>
      <span role="status" className="said">
        {said}
      </span>
      {asks && <Dialog label={label} question={question} confirmed={confirmed} close={() => ask(false)} />}
    </>
  );
}

const words = (error: unknown) => (error instanceof Error ? error.message : "It did not work.");

function Dialog(props: { label: string; question: string; confirmed: () => void; close: () => void }) {
  const { label, question, confirmed, close } = props;
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
    <dialog ref={dialog} aria-label={label} onClose={close}>
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
