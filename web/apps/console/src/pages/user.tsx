import { getRouteApi, Link } from "@tanstack/react-router";
import { useClient } from "@tidings/react";
import { usePages, type SocketRow } from "../api.ts";
import { at, bytes } from "../format.ts";
import { Publish } from "../publish.tsx";
import { useSession } from "../session.ts";
import { Ask, Card, Head, Mark, More, Note, Table } from "../ui.tsx";

const route = getRouteApi("/users/$userId");

/** Somebody who is connected: each connection with its rooms, and what can be done. */
export function UserPage() {
  const { userId } = route.useParams();
  const client = useClient();
  // What is refused to somebody is not offered.
  const { watches = false, isServer = false } = useSession() ?? {};
  const pages = usePages<SocketRow>("/api/admin/sockets", "sockets", { user: userId });
  const post = (path: string, body: object = {}) =>
    client.request(path, { method: "POST", body: JSON.stringify(body) });
  // The filter is for a part of an id.
  const rows = pages.rows.filter((row) => row.userId === userId);
  const name = rows.find((row) => row.name !== null)?.name ?? userId;
  return (
    <>
      <Head title={name}>
        {watches && (
          <Mark kind={rows.length > 0 ? "good" : "plain"}>
            {rows.length > 0 ? "connected" : "not connected"}
          </Mark>
        )}
        {isServer && (
          <Link to="/messages" search={{ userId }}>
            Explain
          </Link>
        )}
        {watches && (
          <Ask
            label="Disconnect"
            question={`Close every connection of ${name}? They may come back at once.`}
            done="Closed."
            act={() => post(`/api/admin/users/${encodeURIComponent(userId)}/disconnect`)}
          />
        )}
      </Head>
      <Card title="Connections" aside={<code>{userId}</code>}>
        {pages.error ? (
          <Note error={pages.error} />
        ) : rows.length === 0 ? (
          <Note>{pages.isPending ? "Reading …" : "There is none now."}</Note>
        ) : (
          <Table caption="Connections" head={["By", "Namespace", "Since", "Behind", "From", "Do"]}>
            {rows.map((row) => (
              <tr key={`${row.id} ${row.namespace}`}>
                <th scope="row">{row.transport}</th>
                <td>
                  <code>{row.namespace}</code>
                </td>
                <td>{row.since === null ? "–" : at(row.since)}</td>
                <td>{bytes(row.bytesBehind)}</td>
                <td>{row.address}</td>
                <td>
                  <Ask
                    label="Disconnect"
                    question={`Close this connection of ${name}? It may come back at once.`}
                    done="Closed."
                    act={() => post(`/api/admin/sockets/${encodeURIComponent(row.id)}/disconnect`)}
                  />
                </td>
              </tr>
            ))}
          </Table>
        )}
        <More pages={pages} />
      </Card>
      {watches && (
        <Card title="Rooms">
          <RoomsOf
            rows={rows}
            kick={(room, socketId) => post(`/api/admin/rooms/${encodeURIComponent(room)}/kick`, { socketId })}
            name={name}
          />
        </Card>
      )}
      {isServer && (
        <Card title="Publish" aside="to all connections of this user">
          <Publish to={{ userId }} />
        </Card>
      )}
    </>
  );
}

function RoomsOf(props: {
  rows: SocketRow[];
  name: string;
  kick: (room: string, socketId: string) => Promise<unknown>;
}) {
  const { rows, name, kick } = props;
  const places = rows.flatMap((row) => row.rooms.names.map((room) => ({ room, row })));
  if (places.length === 0) return <Note>In no room.</Note>;
  const more = rows.reduce((sum, { rooms }) => sum + rooms.count - rooms.names.length, 0);
  return (
    <>
      <Table caption={`Rooms of ${name}`} head={["Room", "By", "Do"]}>
        {places.map(({ room, row }) => (
          <tr key={`${room} ${row.id} ${row.namespace}`}>
            <th scope="row">
              <Link to="/rooms/$room" params={{ room }}>
                {room}
              </Link>
            </th>
            <td>{row.transport}</td>
            <td>
              <Ask
                label="Kick"
                question={`Take ${name} out of ${room}? They may come back if the room lets them.`}
                done="Taken out."
                act={() => kick(room, row.id)}
              />
            </td>
          </tr>
        ))}
      </Table>
      {more > 0 && <Note>And {more} more.</Note>}
    </>
  );
}
