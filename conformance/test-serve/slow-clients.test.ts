import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import type { WebSocket } from "ws";
import { connected, emitAck, inbox, NEWEST, type Client } from "../lib/clients.ts";
import { byPlain, bySocketIo, closeDoors, type Ack, type Door } from "../lib/doors.ts";
import { ask } from "../lib/http.ts";
import type { Running } from "../lib/process.ts";
import { serverToken, startServer, stranger, unique } from "../lib/serve.ts";
import { until } from "../lib/wait.ts";

/** How long the rooms under test hold events back: longer than a machine stands still. */
const PACE_MS = 2_500;

/** Bytes of one event; some hundreds fill what the kernel buffers for a connection. */
const EVENT_BYTES = 16 * 1024;

const KINDS = `
[rooms.paced]
subscribe = "signed-in"
publish = "signed-in"
history = "signed-in"
keep = "recent"
pace_ms = ${PACE_MS}
pace_per = "slot"

[rooms.batch]
subscribe = "signed-in"
publish = "signed-in"
batch_ms = ${PACE_MS}
batch_events = 5

[rooms.loose]
subscribe = "signed-in"
publish = "signed-in"

[rooms.kept]
subscribe = "signed-in"
publish = "signed-in"
keep = "recent"
size = 20000
`;

const DOORS: Record<string, Door> = {
  "Socket.IO": bySocketIo(),
  "Socket.IO by polling": bySocketIo({ ...NEWEST, transport: "polling" }),
  "Socket.IO with msgpack": bySocketIo({ ...NEWEST, parser: "msgpack" }),
  "the plain protocol": byPlain,
};

let server: Running;
let folder: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidings-slow-"));
  writeFileSync(join(folder, "tidings.toml"), KINDS);
  // Nor is a client that does not read taken for dead while what it is sent is made.
  const patience = ["--limits-lag-ms", "600000", "--heartbeat-timeout-ms", "600000"];
  patience.push("--limits-room-bytes", "1000000000");
  server = await startServer(["--no-limits", "--config", join(folder, "tidings.toml"), ...patience]);
});

after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(closeDoors);

for (const [name, door] of Object.entries(DOORS)) {
  test(`of a slot the first event comes at once and the newest in time, by ${name}`, async () => {
    const member = await door(server, stranger().token);
    const room = `paced:${unique("room")}`;
    await member.command("subscribe", { room });
    const publish = (slot: string, data: number): Promise<Ack> =>
      member.command("publish", { room, event: "price", data, slot });
    const begun = performance.now();
    const acks = [await publish("A", 1), await publish("A", 2), await publish("A", 3), await publish("B", 9)];
    assert.deepEqual(
      acks.map(({ ok, held, offset }) => [ok, held, offset]),
      [
        [true, undefined, 1],
        [true, true, undefined],
        [true, true, undefined],
        [true, undefined, 2],
      ],
    );
    const heard = await member.events.take(3, "price");
    assert.deepEqual(
      heard.map(({ data }) => data),
      [1, 9, 3],
    );
    assert.ok(performance.now() - begun >= PACE_MS - 1, "not before its time");
    const history = await member.command("history", { room });
    const kept = history["events"] as { data: number; offset: number; messageId: string }[];
    assert.deepEqual(
      kept.map(({ data, offset }) => [offset, data]),
      [
        [1, 1],
        [2, 9],
        [3, 3],
      ],
    );
    assert.equal(kept[2]?.messageId, acks[2]?.messageId, "the id it was answered with");
  });

  test(`a batch leaves together, and of each slot only the newest, by ${name}`, async () => {
    const member = await door(server, stranger().token);
    const room = `batch:${unique("room")}`;
    await member.command("subscribe", { room });
    const publish = (data: number, slot?: string) =>
      member.command("publish", { room, event: "e", data, ...(slot && { slot }) });
    const begun = performance.now();
    for (const data of [1, 2]) await publish(data, "A");
    for (const data of [3, 4, 5, 6]) await publish(data);
    const full = await member.events.take(5, "event of the batch");
    assert.ok(performance.now() - begun < PACE_MS, "a full batch does not wait");
    await publish(7);
    full.push(...(await member.events.take(1, "event of the next batch")));
    assert.deepEqual(
      full.map(({ data }) => data),
      [2, 3, 4, 5, 6, 7],
    );
  });
}

/** Publishes numbered events by HTTP, some at once. */
async function flood(token: string, room: string, from: number, count: number, lane?: string): Promise<void> {
  const pad = "x".repeat(EVENT_BYTES);
  const message = (_: unknown, at: number) => ({
    room,
    event: "flood",
    data: { number: from + at, pad },
    lane,
  });
  const { status } = await ask(`${server.http}/api/publish/batch`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ messages: Array.from({ length: count }, message) }),
  });
  assert.equal(status, 200);
}

/** How often a step was taken against slow clients. */
async function steps(step: string): Promise<number> {
  const { body } = await ask(`${server.http}/metrics`);
  const line = body.split("\n").find((line) => line.includes(`slow_client_steps_total{step="${step}"}`));
  return Number(line?.split(" ")[1]);
}

/** Less at once than makes a client that reads look slow. */
const BURST = 20;

/** Publishes until a step was taken once more; the number of the last event. */
async function floodUntil(step: string, room: string, lane?: string): Promise<number> {
  const [before, token] = [await steps(step), serverToken()];
  let last = 0;
  while ((await steps(step)) === before) {
    assert.ok(last < 20_000, `${step} was never taken`);
    await flood(token, room, last + 1, BURST, lane);
    last += BURST;
  }
  return last;
}

/** The WebSocket under a stock client, which can stop reading. */
function socketOf(client: Client): WebSocket {
  return (client.io.engine.transport as unknown as { ws: WebSocket }).ws;
}

/** A stock client in a room that has stopped reading. */
async function stopped(room: string, auth: object) {
  const client = await connected(NEWEST, server, { auth: { token: stranger().token, ...auth } });
  await emitAck(client, "subscribe", { room });
  const heard: number[] = [];
  client.on("flood", ({ number }: { number: number }) => heard.push(number));
  const [skipped, behind, disconnects] = [
    inbox(client, "tidings:skipped"),
    inbox(client, "tidings:behind"),
    inbox(client, "disconnect"),
  ];
  socketOf(client).pause();
  return { client, heard, skipped, behind, disconnects };
}

/** Much was held back, and is read on a busy machine. */
const PATIENCE_MS = 60_000;

test("a stock client that was too slow is told how many volatile events it was spared", async () => {
  const room = `loose:${unique("room")}`;
  const asked = await stopped(room, { gaps: true });
  const last = await floodUntil("dropped", room);
  socketOf(asked.client).resume();
  const [told] = (await asked.skipped.next("tidings:skipped", PATIENCE_MS)) as [
    { room: string; count: number },
  ];
  assert.equal(told.room, room);
  assert.ok(told.count > 0);
  await until(() => asked.heard.length + told.count >= last, "all that was not dropped", PATIENCE_MS);
  assert.equal(asked.heard.length + told.count, last, "what came and what was spared is all there was");
});

test("a stock client that did not ask to be told of gaps hears nothing it does not know", async () => {
  const room = `loose:${unique("room")}`;
  const quiet = await stopped(room, {});
  const before = await steps("told");
  await floodUntil("dropped", room);
  socketOf(quiet.client).resume();
  await emitAck(quiet.client, "ping", {});
  await until(async () => (await steps("told")) > before, "a client that is told", PATIENCE_MS);
  await emitAck(quiet.client, "ping", {});
  assert.deepEqual(quiet.skipped.drain(), []);
  assert.deepEqual(quiet.disconnects.drain(), []);
});

test("recorded events that were held back follow a stock client that reads again, once and in order", async () => {
  const room = `kept:${unique("room")}`;
  const slow = await stopped(room, { gaps: true });
  let last = await floodUntil("paused", room);
  await flood(serverToken(), room, last + 1, BURST);
  last += BURST;
  socketOf(slow.client).resume();
  await until(() => slow.heard.at(-1) === last, "the last event", PATIENCE_MS);
  assert.deepEqual(
    slow.heard,
    Array.from({ length: last }, (_, at) => at + 1),
  );
  const [told] = (await slow.behind.next("tidings:behind")) as [{ events: number }];
  assert.ok(told.events > 0);
  assert.deepEqual(slow.disconnects.drain(), []);
});

test("what is critical comes before what floods the low lane", async () => {
  const room = `loose:${unique("room")}`;
  const slow = await stopped(room, {});
  await floodUntil("dropped", room, "low");
  await flood(serverToken(), room, 1_000_001, 3, "critical");
  socketOf(slow.client).resume();
  await until(() => slow.heard.includes(1_000_003), "the critical events", PATIENCE_MS);
  await emitAck(slow.client, "ping", {});
  const critical = slow.heard.indexOf(1_000_001);
  assert.deepEqual(slow.heard.slice(critical, critical + 3), [1_000_001, 1_000_002, 1_000_003]);
  await until(() => slow.heard.length > critical + 3, "what waited in the low lane", PATIENCE_MS);
});
