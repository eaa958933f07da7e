import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Refusal } from "@tidings/client";
import { useClient } from "@tidings/react";
import { useRead } from "../api.ts";
import { fieldOf } from "../form.ts";
import { counted } from "../format.ts";
import { CodeField, ProofForm, type Proof } from "../proof.tsx";
import { Qr } from "../qr.tsx";
import { save } from "../save.ts";
import { Card, Head, Mark, Note } from "../ui.tsx";

interface Me {
  email: string;
  secondFactor: boolean;
  recoveryCodes: number;
}

interface Begun {
  secret: string;
  uri: string;
}

/** Somebody's second factor: turning it on and off, and what lets them in without the device. */
export function SecondFactorPage() {
  const me = useRead<{ user: Me }>("/api/auth/me");
  const [codes, show] = useState<string[]>();
  const user = me.data?.user;
  return (
    <>
      <Head title="Second factor">
        {user && <Mark kind={user.secondFactor ? "good" : "plain"}>{user.secondFactor ? "on" : "off"}</Mark>}
      </Head>
      {me.error ? (
        me.error instanceof Refusal && me.error.code === "not_found" ? (
          <Note>This is for those who have signed in with an account of this server.</Note>
        ) : (
          <Note error={me.error} />
        )
      ) : !user ? (
        <Note>Reading …</Note>
      ) : (
        <>
          {codes && <Codes of={codes} email={user.email} />}
          {user.secondFactor ? <On left={user.recoveryCodes} show={show} /> : !codes && <Off show={show} />}
        </>
      )}
    </>
  );
}

const BASE = "/api/auth/second-factor";
type Show = (codes: string[] | undefined) => void;

/**
 * Asks the server to do something, and shows what codes it answers with before anything is read again: what asked may be
 * gone from the page then.
 */
function useDeed<Body>(path: string, show: Show) {
  const client = useClient();
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (body: Body) => {
      const answer = await client.request(path, { method: "POST", body: JSON.stringify(body) });
      show((answer as { recoveryCodes?: string[] }).recoveryCodes);
      void queries.invalidateQueries();
      return answer;
    },
  });
}

/** How it is turned on: the password, the secret, and a code that proves it has arrived. */
function Off({ show }: { show: Show }) {
  const begin = useDeed<{ password: string }>(BASE, show);
  const prove = useDeed<{ code: string }>(`${BASE}/on`, show);
  const begun = begin.data as Begun | undefined;
  if (!begun) {
    return (
      <Card title="Turn it on">
        <p className="says">
          With a second factor a password that somebody else has is not enough: signing in takes a code as
          well, which an app on your phone shows.
        </p>
        <ProofForm
          asksCode={false}
          busy={begin.isPending}
          refused={begin.error?.message}
          title="Begin"
          go={({ password }) => begin.mutate({ password })}
        />
      </Card>
    );
  }
  return (
    <Card title="Scan it with your app">
      <div className="enrol">
        <Qr of={begun.uri} label="The secret of your second factor, for the camera of your phone" />
        <div>
          <p>Or type it there, by time and with six digits. It is shown this once:</p>
          <p>
            <code className="secret">{begun.secret.match(/.{1,4}/g)?.join(" ")}</code>
          </p>
          <form
            className="publish"
            onSubmit={(event) => {
              event.preventDefault();
              prove.mutate({ code: fieldOf(new FormData(event.currentTarget), "code") });
            }}
          >
            <CodeField focused hasCodes={false} />
            <p role="alert" className="refused">
              {prove.error?.message}
            </p>
            <div className="actions">
              <button type="submit" disabled={prove.isPending}>
                Turn it on
              </button>
            </div>
          </form>
        </div>
      </div>
    </Card>
  );
}

/** What is done with one that is on. */
function On({ left, show }: { left: number; show: Show }) {
  const renew = useDeed<Proof>(`${BASE}/codes`, show);
  const off = useDeed<Proof>(`${BASE}/off`, show);
  return (
    <>
      <Card title="Recovery codes" aside={`${counted(left, "code")} left`}>
        <p className="says">
          Each lets you in once without the device. New ones take the place of those from before.
        </p>
        <ProofForm
          asksCode
          busy={renew.isPending}
          refused={renew.error?.message}
          title="Make new codes"
          go={(proof) => renew.mutate(proof)}
        />
      </Card>
      <Card title="Turn it off">
        <ProofForm
          asksCode
          busy={off.isPending}
          refused={off.error?.message}
          title="Turn it off"
          go={(proof) => off.mutate(proof)}
        />
      </Card>
    </>
  );
}

/** Recovery codes, which the server tells this once. */
function Codes({ of, email }: { of: string[]; email: string }) {
  const [said, say] = useState<string>();
  const text = `Recovery codes of ${email} at ${location.host}, each good once:\n\n${of.join("\n")}\n`;
  const copy = () =>
    navigator.clipboard.writeText(of.join("\n")).then(
      () => say("Copied."),
      () => say("The browser does not let this page copy."),
    );
  return (
    <Card title="Your recovery codes">
      <p className="alert" role="status">
        They are shown this once. Keep them where you find them without your phone.
      </p>
      <ul className="codes">
        {of.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <div className="actions">
        <button type="button" onClick={() => void copy()}>
          Copy
        </button>
        <button type="button" onClick={() => save("tidings-recovery-codes.txt", text)}>
          Download
        </button>
        <span role="status" className="said">
          {said}
        </span>
      </div>
    </Card>
  );
}
