import { useNavigate, useSearch } from "@tanstack/react-router";
import type { FormEvent } from "react";
import { usePages, type AuditRow } from "../api.ts";
import { fieldOf } from "../form.ts";
import { at } from "../format.ts";
import { Card, Head, Json, Mark, More, Note, Table } from "../ui.tsx";

/** Everything that is noted; the server's list of it (audit/action.rs) has to agree, and a test compares them. */
export const ACTIONS = [
  "start",
  "stop",
  "database.moved_back",
  "config.change",
  "secret.create",
  "secret.rotate",
  "key.create",
  "key.revoke",
  "register",
  "login",
  "lockout",
  "logout",
  "password.change",
  "verify",
  "factor.asked",
  "factor.on",
  "factor.off",
  "factor.remove",
  "recovery.renew",
  "recovery.used",
  "confirm",
  "refresh.reuse",
  "role.change",
  "org.create",
  "rule.change",
  "revocation",
  "user.enable",
  "disconnect",
  "room.kick",
  "room.join",
  "emit",
  "deadletter.redrive",
  "deadletter.purge",
  "deadletter.overflow",
  "export",
  "limit.breach",
  "flood",
  "origin.refused",
  "token.refused",
  "key.refused",
  "session.refused",
  "audit.read",
  "audit.trim",
  "audit.lost",
  "threat",
];

/** What came of it, and how good that is. */
const RESULTS = { ok: "good", refused: "busy", failed: "bad" } as const;

interface Search {
  actor?: string;
  action?: string;
  result?: string;
}

/** What was done or tried, by whom, and what came of it; the newest first. */
export function AuditPage() {
  const { actor = "", action = "", result = "" }: Search = useSearch({ strict: false });
  const go = useNavigate();
  // Each reading is an entry itself: it is read when somebody asks, and not by the clock.
  const pages = usePages<AuditRow>(
    "/api/audit",
    "entries",
    { actor, action, result, limit: "50" },
    { cursor: "before", everyMs: false },
  );
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const names = ["actor", "action", "result"] as const;
    const search = Object.fromEntries(names.map((name) => [name, fieldOf(form, name) || undefined]));
    const isSame = names.every((name) => (search[name] ?? "") === { actor, action, result }[name]);
    if (isSame) void pages.refetch();
    else void go({ to: "/audit", search: search as never });
  };
  return (
    <>
      <Head title="Audit log" />
      <Card title="Look for" aside="each reading is noted, too">
        <form className="line" onSubmit={submit} key={[actor, action, result].join(" ")}>
          <label>
            User
            <input name="actor" defaultValue={actor} placeholder="everybody" />
          </label>
          <OneOf label="Action" name="action" value={action} of={ACTIONS} />
          <OneOf label="Result" name="result" value={result} of={Object.keys(RESULTS)} />
          <button type="submit" disabled={pages.isFetching}>
            Look
          </button>
        </form>
      </Card>
      {pages.error ? (
        <Note error={pages.error} />
      ) : pages.rows.length === 0 ? (
        <Note>{pages.isPending ? "Reading …" : "Nothing of that was noted."}</Note>
      ) : (
        <Table caption="Entries" head={["When", "Who", "What", "About", "Result", "From", "Entry"]}>
          {pages.rows.map((row) => (
            <Entry key={row.id} of={row} />
          ))}
        </Table>
      )}
      <More pages={pages} />
    </>
  );
}

function OneOf({
  label,
  name,
  value,
  of,
}: {
  label: string;
  name: string;
  value: string;
  of: readonly string[];
}) {
  return (
    <label>
      {label}
      <select name={name} defaultValue={value}>
        <option value="">any</option>
        {of.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
}

function Entry({ of }: { of: AuditRow }) {
  const { seq, at: when, actorKind, actor, org, action, object, result, reason, address } = of;
  return (
    <tr>
      <th scope="row" className="when">
        {at(when)}
      </th>
      <td className="words">
        {actor ?? actorKind}
        {org !== null && ` of ${org}`}
      </td>
      <td>
        <code>{action}</code>
      </td>
      <td className="words">{object ?? "–"}</td>
      <td className="words">
        <Mark kind={RESULTS[result as keyof typeof RESULTS] ?? "plain"}>{result}</Mark>
        {reason !== null && ` ${reason}`}
      </td>
      <td>{address ?? "–"}</td>
      <td>
        <details>
          <summary>{seq ?? "all of it"}</summary>
          <Json value={of} />
        </details>
      </td>
    </tr>
  );
}
