import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useClient } from "@tidings/react";
import { usePages, type SocketRow } from "../api.ts";
import { at, bytes, whole } from "../format.ts";
import { Ask, Filter, Head, More, Note, Table, Who } from "../ui.tsx";

/** Connections, one row for each namespace of each. */
export function SocketsPage() {
  const client = useClient();
  const [user, setUser] = useState("");
  const pages = usePages<SocketRow>("/api/admin/sockets", "sockets", { user });
  const disconnect = (id: string) =>
    client.request(`/api/admin/sockets/${encodeURIComponent(id)}/disconnect`, { method: "POST", body: "{}" });
  return (
    <>
      <Head title="Sockets">
        <Filter label="A user’s id" value={user} set={setUser} />
      </Head>
      {pages.error ? (
        <Note error={pages.error} />
      ) : pages.rows.length === 0 ? (
        <Note>{pages.isPending ? "Reading …" : "Nobody is connected."}</Note>
      ) : (
        <Table caption="Sockets" head={["User", "By", "Namespace", "Since", "Rooms", "Behind", "From", "Do"]}>
          {pages.rows.map((row) => (
            <tr key={`${row.id} ${row.namespace}`}>
              <th scope="row">
                <Who of={row} />
              </th>
              <td>{row.transport}</td>
              <td>
                <code>{row.namespace}</code>
              </td>
              <td>{row.since === null ? "–" : at(row.since)}</td>
              <td>
                <Rooms of={row} />
              </td>
              <td>{bytes(row.bytesBehind)}</td>
              <td>{row.address}</td>
              <td>
                <Ask
                  label="Disconnect"
                  question={`Close this connection of ${row.name ?? row.userId ?? "somebody anonymous"}? It may come back at once.`}
                  done="Closed."
                  act={() => disconnect(row.id)}
                />
              </td>
            </tr>
          ))}
        </Table>
      )}
      <More pages={pages} />
    </>
  );
}

function Rooms({ of: { rooms } }: { of: SocketRow }) {
  return (
    <details>
      <summary>{whole(rooms.count)}</summary>
      <ul>
        {rooms.names.map((room) => (
          <li key={room}>
            <Link to="/rooms/$room" params={{ room }}>
              {room}
            </Link>
          </li>
        ))}
      </ul>
    </details>
  );
}
