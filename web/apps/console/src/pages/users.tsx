import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useClient } from "@tidings/react";
import { usePages, type UserRow } from "../api.ts";
import { at, whole } from "../format.ts";
import { useSession } from "../session.ts";
import { Ask, Filter, Head, More, Note, Table, Who } from "../ui.tsx";

/** People who are connected now. */
export function UsersPage() {
  const client = useClient();
  const [q, setQ] = useState("");
  const mayExplain = useSession()?.isServer === true;
  const pages = usePages<UserRow>("/api/admin/users", "users", { q });
  const disconnect = (id: string) =>
    client.request(`/api/admin/users/${encodeURIComponent(id)}/disconnect`, { method: "POST", body: "{}" });
  return (
    <>
      <Head title="Users">
        <Filter label="Part of an id or a name" value={q} set={setQ} />
      </Head>
      {pages.error ? (
        <Note error={pages.error} />
      ) : pages.rows.length === 0 ? (
        <Note>{pages.isPending ? "Reading …" : "Nobody with a name is connected."}</Note>
      ) : (
        <Table caption="Users" head={["User", "Id", "Connections", "Devices", "Do"]}>
          {pages.rows.map((row) => (
            <tr key={`${row.org} ${row.userId}`}>
              <th scope="row">
                <Who of={row} />
              </th>
              <td>
                <code>{row.userId}</code>
              </td>
              <td>{whole(row.connections)}</td>
              <td>
                <ul className="devices">
                  {row.devices.map((device) => (
                    <li key={`${device.socketId} ${device.namespace}`}>
                      {device.transport} from {device.address}
                      {device.since !== null && `, since ${at(device.since)}`}
                    </li>
                  ))}
                </ul>
              </td>
              <td>
                <div className="row-actions">
                  {mayExplain && (
                    <Link to="/messages" search={{ userId: row.userId }}>
                      Explain
                    </Link>
                  )}
                  <Ask
                    label="Disconnect"
                    question={`Close every connection of ${row.name ?? row.userId}? They may come back at once.`}
                    done="Closed."
                    act={() => disconnect(row.userId)}
                  />
                </div>
              </td>
            </tr>
          ))}
        </Table>
      )}
      <More pages={pages} />
    </>
  );
}
