import { useEffect, useId, useState, type FormEvent } from "react";
import { Refusal } from "@tidings/client";
import { fieldOf, secretOf } from "../form.ts";
import { lasting } from "../format.ts";
import { CodeField } from "../proof.tsx";
import {
  providersHere,
  signInAt,
  signInByPassword,
  signInByToken,
  useArrival,
  useHasEnded,
  type Provider,
} from "../session.ts";
import { Head } from "../ui.tsx";

/** Asks who it is: by password, at a provider, or by a token of the command line. */
export function SignIn() {
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [asksCode, askCode] = useState(false);
  const hasEnded = useHasEnded();
  const arrival = useArrival();
  // `hasCode`: the form asks for the code of a second factor already.
  const go =
    (signIn: (form: FormData) => Promise<void>, hasCode: boolean) => (event: FormEvent<HTMLFormElement>) => {
      event.preventDefault();
      setError(undefined);
      setBusy(true);
      signIn(new FormData(event.currentTarget))
        .catch((reason: unknown) => {
          // That a code is needed is no refusal of what was given: its field comes.
          if (!hasCode && reason instanceof Refusal && reason.code === "second_factor") askCode(true);
          else setError(refusedBecause(reason));
        })
        .finally(() => setBusy(false));
    };
  return (
    <main className="entrance" id="main">
      <div className="brand">
        <img src="/assets/favicon.svg" alt="" width="34" height="34" />
        Tidings
      </div>
      <Head title="Sign in" />
      {hasEnded && (
        <p role="alert" className="alert">
          Your sign-in has ended: sign in again.
        </p>
      )}
      {arrival?.refused !== undefined && (
        <p role="alert" className="alert">
          {arrival.refused}
        </p>
      )}
      {arrival && !arrival.refused && !arrival.asks && <p role="status">Signing you in …</p>}
      {arrival?.asks && (
        <form className="card" onSubmit={go((form) => arrival.asks!(fieldOf(form, "code")), true)}>
          <h2>Your second factor</h2>
          <CodeField focused />
          <button type="submit" disabled={busy}>
            Go on
          </button>
        </form>
      )}
      <form
        className="card"
        onSubmit={go(
          (form) =>
            signInByPassword(
              fieldOf(form, "email"),
              secretOf(form, "password"),
              fieldOf(form, "org"),
              fieldOf(form, "code"),
            ),
          asksCode,
        )}
      >
        <h2>With an account</h2>
        <Field name="email" label="E-mail address" type="email" autoComplete="username" />
        <Field name="password" label="Password" type="password" autoComplete="current-password" />
        <Field
          name="org"
          label="Organisation, if you were told one"
          type="text"
          autoComplete="organization"
          required={false}
        />
        {asksCode && <CodeField focused />}
        <button type="submit" disabled={busy}>
          Sign in
        </button>
      </form>
      <Providers />
      <form className="card" onSubmit={go((form) => signInByToken(fieldOf(form, "token")), true)}>
        <h2>With a token</h2>
        <p>
          <code>tidings token --user me --scope admin</code> prints one that may see and do everything here.
        </p>
        <Field name="token" label="Token" type="password" autoComplete="off" />
        <button type="submit" disabled={busy}>
          Use the token
        </button>
      </form>
      <p role="alert" className="refused">
        {error}
      </p>
      <p className="below">
        <a href="/account">Sign up, or forgot your password?</a> · <a href="/host">This machine’s figures</a>
      </p>
    </main>
  );
}

/** A way to each provider, where there are any. */
function Providers() {
  const [those, show] = useState<Provider[]>([]);
  useEffect(() => {
    let shown = true;
    void providersHere().then((found) => shown && show(found));
    return () => {
      shown = false;
    };
  }, []);
  if (those.length === 0) return null;
  return (
    <div className="card">
      <h2>At a provider</h2>
      {those.map((one) => (
        <button key={one.name} type="button" onClick={() => signInAt(one)}>
          Sign in with {one.label}
        </button>
      ))}
    </div>
  );
}

/** Why nobody was signed in, and when to try again if the server says so. */
function refusedBecause(reason: unknown): string {
  const message = reason instanceof Error ? reason.message : "It did not work.";
  if (!(reason instanceof Refusal) || reason.retryAfterMs === undefined) return message;
  const wait = Math.ceil(reason.retryAfterMs / 1_000) * 1_000;
  return `${message} (try again in ${lasting(wait)})`;
}

function Field({
  name,
  label,
  type,
  autoComplete,
  required = true,
}: {
  name: string;
  label: string;
  type: string;
  autoComplete: string;
  required?: boolean;
}) {
  const id = useId();
  return (
    <label htmlFor={id}>
      {label}
      <input id={id} name={name} type={type} autoComplete={autoComplete} required={required} />
    </label>
  );
}
