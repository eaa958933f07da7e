import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { useRead, type BusyUser, type Usage, type UsageHistory } from "../api.ts";
import { ChartCard, type Curve } from "../chart.tsx";
import { at, bytes, lasting, short, whole } from "../format.ts";
import { Card, Choice, Head, Note, Table, Tile, Who } from "../ui.tsx";

/** How long a column of a chart is. */
const SPANS = { minutes: "By minute", hours: "By hour" } as const;
type Span = keyof typeof SPANS;

/** What stands in a row before what was refused by code. */
const COUNTED = ["at", "connections", "came", "published", "delivered", "bytes"];

/** How much the server is used, when, and by whom. */
export function UsagePage() {
  const search: { by?: string } = useSearch({ strict: false });
  const go = useNavigate();
  const span: Span = search.by === "hours" ? "hours" : "minutes";
  const usage = useRead<Usage>("/api/admin/usage", { everyMs: 10_000 });
  const change = (by: string) => void go({ to: "/usage", search: { by } as never });
  return (
    <>
      <Head title="Usage">
        {usage.data?.history && <Choice label="Time" value={span} set={change} of={Object.entries(SPANS)} />}
      </Head>
      {usage.error ? (
        <Note error={usage.error} />
      ) : !usage.data ? (
        <Note>Reading …</Note>
      ) : (
        <Whole usage={usage.data} span={span} />
      )}
    </>
  );
}

function Whole({ usage, span }: { usage: Usage; span: Span }) {
  const { history, rooms, users } = usage;
  return (
    <>
      {history && <Past history={history[span]} />}
      <div className="pair">
        <Rooms of={rooms} />
        {history && <Refusals history={history[span]} />}
        <Users title="Users by connections" aside="now" rows={users.byConnections} />
        <Users title="Users by events" aside="said on connections that are open" rows={users.byEvents} />
      </div>
      {users.connectionsLeftOut > 0 && (
        <Note>{`${whole(users.connectionsLeftOut)} connections were not counted: of more than ${whole(users.countedAtMost)} users on a thread no more are told apart.`}</Note>
      )}
    </>
  );
}

/** The values of a field, the oldest first. */
const line = ({ fields, points }: UsageHistory, name: string) =>
  points.map((point) => point[fields.indexOf(name)] ?? 0);

const sum = (values: number[]) => values.reduce((all, value) => all + value, 0);

/** How much of it is refused, over all codes. */
const refusedIn = (history: UsageHistory) =>
  history.fields
    .filter((field) => !COUNTED.includes(field))
    .map((code) => [code, sum(line(history, code))] as const);

/** With what was before the server began: nothing. So one row is a line as well. */
function fromNothing(history: UsageHistory): UsageHistory {
  const [first] = history.points;
  if (first === undefined || history.points.length >= history.kept) return history;
  const nothing = history.fields.map((field) => (field === "at" ? (first[0] ?? 0) - history.everyMs : 0));
  return { ...history, points: [nothing, ...history.points] };
}

function Past({ history }: { history: UsageHistory }) {
  const lines = useMemo(() => {
    const drawn = fromNothing(history);
    return {
      times: line(drawn, "at").map((time) => time / 1_000),
      connections: [line(drawn, "connections"), line(drawn, "came")],
      events: [line(drawn, "delivered"), line(drawn, "published")],
    };
  }, [history]);
  const began = history.points[0]?.[0];
  const each = history.everyMs < 3_600_000 ? "a minute" : "an hour";
  const refused = sum(refusedIn(history).map(([, count]) => count));
  return (
    <>
      <dl className="tiles">
        <Tile
          name="Connections at most"
          value={whole(Math.max(0, ...line(history, "connections")))}
          note={began === undefined ? undefined : `since ${at(began)}`}
        />
        <Tile name="Connections that came" value={short(sum(line(history, "came")))} />
        <Tile name="Published" value={short(sum(line(history, "published")))} note="events" />
        <Tile
          name="Delivered"
          value={short(sum(line(history, "delivered")))}
          note={bytes(sum(line(history, "bytes")))}
        />
        <Tile name="Refused" value={short(refused)} note="commands and requests" />
      </dl>
      <div className="pair">
        <ChartCard
          title="Connections"
          aside={each}
          curves={CONNECTIONS}
          times={lines.times}
          values={lines.connections}
          unit={short}
          counted
        />
        <ChartCard
          title="Events"
          aside={each}
          curves={EVENTS}
          times={lines.times}
          values={lines.events}
          unit={short}
          counted
        />
      </div>
      <p className="empty">
        {`Kept in memory for ${lasting(history.everyMs * history.kept)}; it begins anew with the server.`}
      </p>
    </>
  );
}

const CONNECTIONS: Curve[] = [
  { name: "at most", colour: 1 },
  { name: "came", colour: 2 },
];
const EVENTS: Curve[] = [
  { name: "delivered", colour: 1 },
  { name: "published", colour: 2 },
];

function Rooms({ of: rooms }: { of: Usage["rooms"] }) {
  return (
    <Card title="Busiest rooms" aside={rooms ? `since ${at(rooms.since)}` : undefined}>
      {!rooms ? (
        <Note>What was said is not remembered (recorder.entries is 0).</Note>
      ) : rooms.rows.length === 0 ? (
        <Note>Nothing was said yet.</Note>
      ) : (
        <Table caption="Busiest rooms" head={["Room", "Events", "Members"]}>
          {rooms.rows.map(({ room, org, events, members }) => (
            <tr key={`${org} ${room}`}>
              <th scope="row">
                <Link to="/rooms/$room" params={{ room }}>
                  {room}
                </Link>
              </th>
              <td>{whole(events)}</td>
              <td>{whole(members)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

function Users({ title, aside, rows }: { title: string; aside: string; rows: BusyUser[] }) {
  return (
    <Card title={title} aside={aside}>
      {rows.length === 0 ? (
        <Note>Nobody with a name is connected.</Note>
      ) : (
        <Table caption={title} head={["User", "Connections", "Events"]}>
          {rows.map((row) => (
            <tr key={`${row.org} ${row.userId}`}>
              <th scope="row">
                <Who of={row} />
              </th>
              <td>{whole(row.connections)}</td>
              <td>{whole(row.said)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

/** How often each code was told. */
function Refusals({ history }: { history: UsageHistory }) {
  const told = refusedIn(history).filter(([, count]) => count > 0);
  told.sort(([, one], [, other]) => other - one);
  return (
    <Card title="Refused, by code">
      {told.length === 0 ? (
        <Note>Nothing was refused.</Note>
      ) : (
        <Table caption="Refused, by code" head={["Code", "Times"]}>
          {told.map(([code, count]) => (
            <tr key={code}>
              <th scope="row">
                <code>{code}</code>
              </th>
              <td>{whole(count)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}
