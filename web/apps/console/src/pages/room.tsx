import { getRouteApi, Link } from "@tanstack/react-router";
import { useClient } from "@tidings/react";
import { usePages, useRead, type RoomRow, type SocketRow } from "../api.ts";
import { at, bytes, orDash, short, whole } from "../format.ts";
import { Publish } from "../publish.tsx";
import { useSession } from "../session.ts";
import { Ask, Card, Head, Json, Note, Preview, Table, Tile, Who } from "../ui.tsx";

const route = getRouteApi("/rooms/$room");

interface Past {
  events: { messageId: string; event: string; data: unknown; offset: number; at: string }[];
}

/** One room: who is in it, what was said, and what can be done. */
export function RoomPage() {
  const { room } = route.useParams();
  // What is refused to somebody is not offered.
  const isServer = useSession()?.isServer === true;
  const found = usePages<RoomRow>("/api/admin/rooms", "rooms", { q: room });
  const row = found.rows.find((it) => it.room === room);
  return (
    <>
      <Head title={room}>
        <Link to="/messages" search={{ room }}>
          Watch it
        </Link>
      </Head>
      <dl className="tiles">
        <Tile name="Members" value={orDash(row?.members, whole)} />
        <Tile name="Keeps" value={row?.keep ?? "–"} note={orDash(row?.bytes, bytes)} />
        <Tile
          name="Newest"
          value={orDash(row?.position?.offset, whole)}
          note={row?.position ? `epoch ${row.position.epoch}` : undefined}
        />
        <Tile name="Events a second" value={orDash(row?.eventsPerSecond, short)} />
      </dl>
      <Members room={room} />
      {isServer && (
        <Card title="Publish">
          <Publish to={{ room }} />
        </Card>
      )}
      <History room={room} mayExplain={isServer} />
    </>
  );
}

function Members({ room }: { room: string }) {
  const client = useClient();
  const pages = usePages<SocketRow>("/api/admin/sockets", "sockets", { room });
  const kick = (socketId: string) =>
    client.request(`/api/admin/rooms/${encodeURIComponent(room)}/kick`, {
      method: "POST",
      body: JSON.stringify({ socketId }),
    });
  return (
    <Card title="Members" aside={`${pages.rows.length} shown`}>
      {pages.error ? (
        <Note error={pages.error} />
      ) : pages.rows.length === 0 ? (
        <Note>Nobody is here.</Note>
      ) : (
        <Table caption="Members" head={["User", "By", "Since", "Behind", "Do"]}>
          {pages.rows.map((row) => (
            <tr key={`${row.id} ${row.namespace}`}>
              <th scope="row">
                <Who of={row} />
              </th>
              <td>{row.transport}</td>
              <td>{row.since === null ? "–" : at(row.since)}</td>
              <td>{bytes(row.bytesBehind)}</td>
              <td>
                <Ask
                  label="Kick"
                  question={`Take ${row.name ?? row.userId ?? "this client"} out of ${room}? It may come back if the room lets it.`}
                  done="Taken out."
                  act={() => kick(row.id)}
                />
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

function History({ room, mayExplain }: { room: string; mayExplain: boolean }) {
  const past = useRead<Past>(`/api/rooms/${encodeURIComponent(room)}/history?limit=20`, { everyMs: 5_000 });
  return (
    <Card title="History" aside="the newest 20">
      {past.error ? (
        <Note error={past.error} />
      ) : !past.data?.events.length ? (
        <Note>Nothing is kept of this room.</Note>
      ) : (
        <ol className="events">
          {past.data.events.toReversed().map((event) => (
            <li key={event.messageId}>
              <details>
                <summary>
                  <b>{event.event}</b> <span>{at(event.at)}</span> <span>#{event.offset}</span>{" "}
                  <Preview value={event.data} />
                </summary>
                <Json value={event.data} />
                {mayExplain && (
                  <Link to="/messages" search={{ messageId: event.messageId, room }}>
                    Explain
                  </Link>
                )}
              </details>
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}
