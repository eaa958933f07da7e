import { useState, type FormEvent } from "react";
import { useClient } from "@tidings/react";
import { useAct, usePages, type AccountRow } from "../api.ts";
import { fieldOf } from "../form.ts";
import { at } from "../format.ts";
import { Ask, Head, Mark, More, Note, Table, Who } from "../ui.tsx";

/** Everybody with an account in the organisation, connected or not. */
export function AccountsPage() {
  const pages = usePages<AccountRow>("/api/users", "users", {}, { last: ({ id }) => id });
  return (
    <>
      <Head title="Accounts" />
      {pages.error ? (
        <Note error={pages.error} />
      ) : pages.rows.length === 0 ? (
        <Note>{pages.isPending ? "Reading …" : "Nobody has an account yet."}</Note>
      ) : (
        <Table caption="Accounts" head={["Name", "E-mail address", "Made", "State", "Roles", "Do"]}>
          {pages.rows.map((row) => (
            <Account key={row.id} of={row} />
          ))}
        </Table>
      )}
      <More pages={pages} />
    </>
  );
}

function Account({ of }: { of: AccountRow }) {
  const { id, email, name, roles, emailVerified, status, createdAt } = of;
  const client = useClient();
  const path = `/api/users/${encodeURIComponent(id)}`;
  const [disable, enable] = [useAct(`${path}/disable`), useAct(`${path}/enable`)];
  const callBack = () =>
    client.request("/api/revocations", { method: "POST", body: JSON.stringify({ userId: id }) });
  return (
    <tr>
      <th scope="row">
        <Who of={{ userId: id, name }} />
      </th>
      <td className="words">{email}</td>
      <td>{at(createdAt)}</td>
      <td>
        {status === "active" ? (
          <Mark kind={emailVerified ? "good" : "busy"}>{emailVerified ? "active" : "not confirmed"}</Mark>
        ) : (
          <Mark kind="bad">{status}</Mark>
        )}
      </td>
      <td>
        <details>
          <summary>{roles.length === 0 ? "none" : roles.join(", ")}</summary>
          <Roles path={`${path}/roles`} name={name} roles={roles} />
        </details>
      </td>
      <td>
        <div className="row-actions">
          <Ask
            label="Revoke"
            question={`Call back every token of ${name}? Their connections and sign-ins end; they can sign in again.`}
            done="Called back."
            act={callBack}
          />
          {status === "active" ? (
            <Ask
              label="Disable"
              question={`Let ${name} sign in no longer? Every sign-in and token of theirs ends.`}
              done=""
              act={() => disable.mutateAsync(undefined)}
            />
          ) : (
            <Ask
              label="Enable"
              question={`Let ${name} sign in again?`}
              done=""
              act={() => enable.mutateAsync(undefined)}
            />
          )}
        </div>
      </td>
    </tr>
  );
}

/** Which roles somebody has: exactly those that stand in the field. */
function Roles({ path, name, roles }: { path: string; name: string; roles: string[] }) {
  const give = useAct<{ roles: string[] }>(path);
  const [said, say] = useState<string>();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const words = fieldOf(new FormData(event.currentTarget), "roles").split(/[\s,]+/);
    give.mutate(
      { roles: [...new Set(words.filter((word) => word !== ""))] },
      { onSuccess: () => say("They are set."), onError: (error) => say(error.message) },
    );
  };
  return (
    <form className="publish" onSubmit={submit}>
      <label>
        Roles of {name}, by commas
        <input name="roles" defaultValue={roles.join(", ")} autoCapitalize="off" spellCheck={false} />
      </label>
      <div className="actions">
        <button type="submit" disabled={give.isPending}>
          Set
        </button>
        <span role="status" className="said">
          {said}
        </span>
      </div>
    </form>
  );
}
