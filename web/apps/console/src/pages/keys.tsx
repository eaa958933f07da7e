import { useState, type FormEvent } from "react";
import { useAct, useRead, type KeyRow } from "../api.ts";
import { fieldOf } from "../form.ts";
import { at } from "../format.ts";
import { Ask, Card, Head, Mark, Note, Table } from "../ui.tsx";

/** What a key may be good for, and what its programs may do then. */
const SCOPES = [
  ["publish", "Publish"],
  ["read", "Read rooms"],
  ["admin", "Administer"],
] as const;

/** Keys of programs: those there are, and a new one. */
export function KeysPage() {
  const keys = useRead<{ keys: KeyRow[] }>("/api/keys");
  const rows = keys.data?.keys ?? [];
  return (
    <>
      <Head title="API keys" />
      {keys.error ? (
        <Note error={keys.error} />
      ) : (
        <>
          <NewKey />
          {rows.length === 0 ? (
            <Note>{keys.isPending ? "Reading …" : "There is no key yet."}</Note>
          ) : (
            <Table caption="Keys" head={["Name", "Key", "Good for", "Made", "Ends", "Last used", "Do"]}>
              {rows.map((row) => (
                <Key key={row.prefix} of={row} />
              ))}
            </Table>
          )}
        </>
      )}
    </>
  );
}

function Key({ of: { prefix, name, scopes, createdAt, expiresAt, lastUsedAt, revokedAt } }: { of: KeyRow }) {
  const end = useAct(`/api/keys/${encodeURIComponent(prefix)}`, "DELETE");
  const isOver = expiresAt !== undefined && Date.parse(expiresAt) <= Date.now();
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>
        <code>{prefix}</code>
      </td>
      <td>{scopes.join(", ")}</td>
      <td>{at(createdAt)}</td>
      <td>{expiresAt === undefined ? "never" : at(expiresAt)}</td>
      <td>{lastUsedAt === undefined ? "–" : at(lastUsedAt)}</td>
      <td>
        {revokedAt !== undefined ? (
          <Mark kind="bad">deleted {at(revokedAt)}</Mark>
        ) : isOver ? (
          <Mark kind="plain">over</Mark>
        ) : (
          <Ask
            label="Delete"
            question={`Delete the key ${name}? Programs that use it are refused from now on, and their connections end.`}
            done="Deleted."
            act={() => end.mutateAsync(undefined)}
          />
        )}
      </td>
    </tr>
  );
}

interface Wanted {
  name: string;
  scopes: string[];
  expiresInDays?: number;
}

/** A form for a new key, and the key itself: the server tells it this once. */
function NewKey() {
  const make = useAct<Wanted>("/api/keys");
  const [made, setMade] = useState<{ key: string; name: string }>();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const wanted = wantedIn(new FormData(form));
    setMade(undefined);
    make.mutate(wanted, {
      onSuccess: (answer) => {
        setMade({ key: (answer as { key: string }).key, name: wanted.name });
        form.reset();
      },
    });
  };
  return (
    <Card title="A new key" aside="for a program">
      <form className="line" onSubmit={submit}>
        <label>
          Name
          <input name="name" required maxLength={100} />
        </label>
        <label>
          Days until it ends, if it is to
          <input name="days" inputMode="numeric" pattern="\d+" />
        </label>
        {SCOPES.map(([scope, words]) => (
          <label key={scope} className="check">
            <input type="checkbox" name="scopes" value={scope} defaultChecked={scope === "publish"} /> {words}
          </label>
        ))}
        <button type="submit" disabled={make.isPending}>
          Make the key
        </button>
      </form>
      <div role="status">
        {made && (
          <p className="alert">
            The key {made.name}, shown this once: <code className="secret">{made.key}</code>
          </p>
        )}
      </div>
      <p role="alert" className="refused">
        {make.error?.message}
      </p>
    </Card>
  );
}

function wantedIn(form: FormData): Wanted {
  const days = fieldOf(form, "days");
  return {
    name: fieldOf(form, "name"),
    scopes: form.getAll("scopes").filter((scope) => typeof scope === "string"),
    ...(days === "" ? {} : { expiresInDays: Number(days) }),
  };
}
