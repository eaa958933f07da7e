import { useState, type FormEvent } from "react";
import { useClient } from "@tidings/react";
import { useAct, usePages, type AccountRow } from "../api.ts";
import { fieldOf } from "../form.ts";
import { at } from "../format.ts";
import { Ask, Card, Head, Mark, More, Note, Table, Who } from "../ui.tsx";

/** Everybody with an account in the organisation, connected or not. */
export function AccountsPage() {
  const pages = usePages<AccountRow>("/api/users", "users", {}, { last: ({ id }) => id });
  return (
    <>
      <Head title="Accounts" />
      {pages.error ? (
        <Note error={pages.error} />
      ) : (
        <>
          <Invite />
          {pages.rows.length === 0 ? (
            <Note>{pages.isPending ? "Reading …" : "Nobody has an account yet."}</Note>
          ) : (
            <Table caption="Accounts" head={["Name", "E-mail address", "Made", "State", "Roles", "Do"]}>
              {pages.rows.map((row) => (
                <Account key={row.id} of={row} />
              ))}
            </Table>
          )}
        </>
      )}
      <More pages={pages} />
    </>
  );
}

function Account({ of }: { of: AccountRow }) {
  const { id, email, name, roles, emailVerified, status, createdAt, secondFactor } = of;
  const client = useClient();
  const path = `/api/users/${encodeURIComponent(id)}`;
  const [disable, enable] = [useAct(`${path}/disable`), useAct(`${path}/enable`)];
  const remove = useAct(`${path}/second-factor/remove`);
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
      <td className="words">
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
          {secondFactor && (
            <Ask
              label="Remove second factor"
              question={`Let ${name} sign in by password alone, as when the device is lost? Every sign-in and token of theirs ends.`}
              done=""
              act={() => remove.mutateAsync(undefined)}
            />
          )}
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

/** A form that makes an account for somebody, who is sent a link to set its password. */
function Invite() {
  const invite = useAct<{ email: string; name?: string; roles: string[] }>("/api/users");
  const [invited, setInvited] = useState<string>();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    const [email, name] = [fieldOf(fields, "email"), fieldOf(fields, "name")];
    setInvited(undefined);
    invite.mutate(
      { email, roles: rolesIn(fields), ...(name === "" ? {} : { name }) },
      {
        onSuccess: () => {
          setInvited(email);
          form.reset();
        },
      },
    );
  };
  return (
    <Card title="Invite somebody" aside="by e-mail">
      <form className="line" onSubmit={submit}>
        <label>
          E-mail address
          <input name="email" type="email" required autoComplete="off" />
        </label>
        <label>
          Name, if you know it
          <input name="name" maxLength={100} autoComplete="off" />
        </label>
        <label>
          Roles, by commas
          <input name="roles" autoCapitalize="off" spellCheck={false} autoComplete="off" />
        </label>
        <button type="submit" disabled={invite.isPending}>
          Invite
        </button>
      </form>
      <p role="status">
        {invited &&
          `${invited} is sent a link to set a password; a server without a mailer writes it into its log.`}
      </p>
      <p role="alert" className="refused">
        {invite.error?.message}
      </p>
    </Card>
  );
}

/** What stands in a form's field `roles`, each once. */
function rolesIn(form: FormData): string[] {
  const words = fieldOf(form, "roles").split(/[\s,]+/);
  return [...new Set(words.filter((word) => word !== ""))];
}

/** Which roles somebody has: exactly those that stand in the field. */
function Roles({ path, name, roles }: { path: string; name: string; roles: string[] }) {
  const give = useAct<{ roles: string[]; had: string[] }>(path);
  const [said, say] = useState<string>();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    give.mutate(
      // As they are shown here: another administrator may have changed them since.
      { roles: rolesIn(new FormData(event.currentTarget)), had: roles },
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
