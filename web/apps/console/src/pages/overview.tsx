import { useMemo, useReducer } from "react";
import { useEvent } from "@tidings/react";
import { useRead, type Overview, type OverviewAnswer } from "../api.ts";
import { ChartCard, type Curve } from "../chart.tsx";
import { alertWords, bytes, counted, fine, lasting, ms, orDash, short, whole } from "../format.ts";
import { Card, Head, Mark, Note, Table, Tile } from "../ui.tsx";

/** Points that are drawn, one a second. */
const POINTS = 300;

/** How the server is, now and over the last minutes. */
export function OverviewPage() {
  const first = useRead<OverviewAnswer>("/api/admin/overview", { everyMs: 15_000 });
  if (first.error)
    return (
      <Framed>
        <Note error={first.error} />
      </Framed>
    );
  if (!first.data)
    return (
      <Framed>
        <Note>Reading …</Note>
      </Framed>
    );
  return first.data.scope === "server" ? (
    <Live answer={first.data} />
  ) : (
    <Framed>
      <Own overview={first.data.overview} />
    </Framed>
  );
}

const Framed = ({ children }: { children: React.ReactNode }) => (
  <>
    <Head title="Overview" />
    {children}
  </>
);

function Live({ answer }: { answer: OverviewAnswer }) {
  const [heard, hear] = useReducer(
    (before: Overview[], next: Overview) => [...before, next].slice(-POINTS),
    [],
  );
  useEvent("server:overview", "overview", (data: unknown) => hear(data as Overview));
  const now = heard.at(-1) ?? answer.overview;
  const lines = useMemo(() => linesOf(answer, heard), [answer, heard]);
  const { connections, throughput, latency, memory, health, node } = now;
  return (
    <>
      <Head title="Overview">
        {health && <Mark kind={health.status === "ok" ? "good" : "bad"}>{health.status}</Mark>}
      </Head>
      <Alerts of={now} />
      <dl className="tiles">
        <Tile name="Connections" value={whole(connections.total)} note={counted(now.rooms, "room")} />
        <Tile name="Published" value={orDash(throughput?.published, short)} note="a second" />
        <Tile
          name="Delivered"
          value={orDash(throughput?.delivered, short)}
          note={`a second · ${orDash(throughput?.bytes, bytes)}/s`}
        />
        <Tile
          name="Latency p99"
          value={orDash(latency?.p99Ms, ms)}
          note={`p50 ${orDash(latency?.p50Ms, fine)} · p95 ${orDash(latency?.p95Ms, fine)}`}
        />
        <Tile name="Memory" value={orDash(memory.residentBytes, bytes)} note={memoryNote(memory)} />
        <Tile
          name="Up"
          value={orDash(node?.uptimeMs, lasting)}
          note={node ? `version ${node.version}` : undefined}
        />
      </dl>
      <div className="pair">
        <ChartCard
          title="Connections"
          curves={CONNECTIONS}
          times={lines.times}
          values={lines.connections}
          unit={short}
          counted
        />
        <ChartCard
          title="Throughput"
          aside="events a second"
          curves={THROUGHPUT}
          times={lines.times}
          values={lines.throughput}
          unit={short}
        />
        <ChartCard
          title="Latency"
          aside="from publish to socket"
          curves={LATENCY}
          times={lines.times}
          values={lines.latency}
          unit={ms}
          nothing="No delivery was measured yet."
        />
        <ChartCard title="Memory" curves={MEMORY} times={lines.times} values={lines.memory} unit={bytes} />
      </div>
      <div className="pair trio">
        <Shards of={now} />
        <Doors of={now} />
        <Parts of={now} />
      </div>
    </>
  );
}

const CONNECTIONS: Curve[] = [{ name: "connections", colour: 1 }];
const THROUGHPUT: Curve[] = [
  { name: "delivered", colour: 1 },
  { name: "published", colour: 2 },
];
const LATENCY: Curve[] = [
  { name: "p50", colour: 1 },
  { name: "p95", colour: 2 },
  { name: "p99", colour: 3 },
];
const MEMORY: Curve[] = [
  { name: "resident", colour: 1 },
  { name: "waiting for slow clients", colour: 2 },
];

/** The server's past, and behind it what was heard since. */
function linesOf({ history }: OverviewAnswer, heard: Overview[]) {
  const at = (name: string) => history.fields.indexOf(name);
  const past = (name: string) => history.points.map((point) => point[at(name)] ?? null);
  const began = history.points.at(-1)?.[at("at")] ?? 0;
  const newer = heard.filter((overview) => Date.parse(overview.at) > began);
  const line = (name: string, value: (overview: Overview) => number | null | undefined) =>
    [...past(name), ...newer.map((overview) => value(overview) ?? null)].slice(-POINTS);
  return {
    times: line("at", ({ at: time }) => Date.parse(time)).map((time) => (time ?? 0) / 1_000),
    connections: [line("connections", ({ connections }) => connections.total)],
    throughput: [
      line("delivered", ({ throughput }) => throughput?.delivered),
      line("published", ({ throughput }) => throughput?.published),
    ],
    latency: [
      line("p50", ({ latency }) => latency?.p50Ms),
      line("p95", ({ latency }) => latency?.p95Ms),
      line("p99", ({ latency }) => latency?.p99Ms),
    ],
    memory: [
      line("resident", ({ memory }) => memory.residentBytes),
      line("buffered", ({ memory }) => memory.bufferedBytes),
    ],
  };
}

/** Beyond this, in hours, what half an hour of growth says of the time to come is no forecast. */
const FORESEEN_H = 7 * 24;

function memoryNote({ capBytes, trend }: Overview["memory"]): string {
  const isSoon = trend?.fullInHours == null || trend.fullInHours <= FORESEEN_H;
  if (trend?.rising && isSoon)
    return trend.fullInHours === null
      ? `rising ${bytes(trend.bytesPerHour)}/h`
      : `full in ${lasting(trend.fullInHours * 3_600_000)}`;
  return capBytes ? `of ${bytes(capBytes)}` : "steady";
}

function Alerts({ of: { alerts } }: { of: Overview }) {
  return (
    <div role="status" aria-label="Alerts" className="alerts">
      {alerts?.map(({ kind, level, message, value }) => (
        <p key={kind} className={`alert ${level}`}>
          <b>{level}</b> {alertWords(kind, message, value)}
        </p>
      ))}
    </div>
  );
}

function Shards({ of: { shards } }: { of: Overview }) {
  if (!shards) return null;
  return (
    <Card title="Shards" aside="threads that own connections">
      <Table caption="Shards" head={["Shard", "Connections", "Delivered/s", "Waiting", "CPU"]}>
        {shards.map((shard) => (
          <tr key={shard.index}>
            <th scope="row">{shard.index}</th>
            <td>{whole(shard.connections)}</td>
            <td>{short(shard.delivered)}</td>
            <td>{bytes(shard.bufferedBytes)}</td>
            <td>{orDash(shard.cpuPercent, (percent) => `${percent.toFixed(1)} %`)}</td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

function Parts({ of: { health } }: { of: Overview }) {
  if (!health) return null;
  return (
    <Card title="Parts">
      <Table caption="Parts" head={["Part", "State"]}>
        {health.parts.map(({ name, status }) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>
              <Mark
                kind={
                  status === "ok"
                    ? "good"
                    : status === "off"
                      ? "plain"
                      : status === "probing"
                        ? "busy"
                        : "bad"
                }
              >
                {status}
              </Mark>
            </td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

/** By which door clients came, and where they are. */
function Doors({ of: { connections } }: { of: Overview }) {
  const { websocket, polling, plain, byNamespace } = connections;
  const doors = [
    ["Socket.IO by WebSocket", websocket],
    ["Socket.IO by polling", polling],
    ["Plain WebSocket", plain],
  ] as const;
  return (
    <Card title="Doors" aside="connections now">
      <Table caption="Doors" head={["By", "Connections"]}>
        {doors.map(([name, count]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{whole(count)}</td>
          </tr>
        ))}
        {Object.entries(byNamespace).map(([namespace, count]) => (
          <tr key={namespace}>
            <th scope="row">
              <span>
                In namespace <code>{namespace}</code>
              </span>
            </th>
            <td>{whole(count)}</td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

function Own({ overview }: { overview: Overview }) {
  return (
    <dl className="tiles">
      <Tile name="Connections" value={whole(overview.connections.total)} note="of your organisation" />
      <Tile name="Rooms" value={whole(overview.rooms)} />
      <Tile name="Waiting for slow clients" value={bytes(overview.memory.bufferedBytes)} />
    </dl>
  );
}
