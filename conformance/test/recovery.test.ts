import assert from "node:assert/strict";
import { afterEach } from "node:test";
import {
  closeAll,
  connect,
  connected,
  emitAck,
  heard,
  inbox,
  NEWEST,
  TRANSPORTS,
  type Client,
  type Kind,
  type Transport,
} from "../lib/clients.ts";
import { matrixFixtures, type Parser } from "../lib/fixture.ts";
import { facts } from "../lib/reference.ts";
import { engineByWebSocket, join, type Wire } from "../lib/wire.ts";

const servers = matrixFixtures();
const server = servers.json;

const fact = facts({
  "CONNECT comes before the events that were missed": "replays first and connects then",
  "a session of which no event was heard is recovered without an offset": "demands an offset",
  "a session whose offset was spoiled is recovered, nothing lost and nothing twice":
    "knows only its own offsets",
  "a pid used while its session is alive moves the session to the newest connection":
    "serves both connections under one id",
});

afterEach(closeAll);

/** A client that comes back only when it is told to. */
function client(kind: Kind = NEWEST, namespace = ""): Promise<Client> {
  return connected(kind, servers[kind.parser], { reconnection: false }, namespace);
}

async function drop(dropped: Client): Promise<void> {
  const gone = heard(dropped, "disconnect");
  dropped.emit("drop");
  await gone;
}

/** Broadcasts through `sender` and waits until the server has done so. */
async function broadcast(sender: Client, ...items: unknown[]): Promise<void> {
  const own = inbox(sender, "news");
  for (const item of items) sender.emit("broadcast", item);
  await own.take(items.length, "own broadcast");
  sender.off("news");
}

async function firstArguments(news: { take(count: number): Promise<unknown[][]> }, count: number) {
  return (await news.take(count)).map((args) => args[0]);
}

for (const transport of Object.keys(TRANSPORTS) as Transport[]) {
  for (const parser of ["json", "msgpack"] as Parser[]) {
    const kind: Kind = { version: "4.8.4", transport, parser };
    fact(
      `a dropped client over ${transport} with ${parser} recovers what it missed, once and in order`,
      async () => {
        const away = await client(kind);
        const other = await client(kind);
        const news = inbox(away, "news");
        await broadcast(other, "before");
        assert.deepEqual(await firstArguments(news, 1), ["before"]);
        const id = away.id;
        await drop(away);
        await broadcast(other, 1, { two: Buffer.of(2) }, 3);
        await connect(away);
        assert.equal(away.recovered, true);
        assert.equal(away.id, id);
        assert.deepEqual(await emitAck(away, "whoami"), [{ id, recovered: true }]);
        await broadcast(other, "after");
        const [first, second, ...rest] = await firstArguments(news, 4);
        assert.deepEqual([first, ...rest], [1, 3, "after"]);
        assert.deepEqual(Buffer.from((second as { two: Uint8Array }).two), Buffer.of(2));
        await emitAck(away, "message-with-ack");
        assert.deepEqual(news.drain(), [], "nothing comes twice");
      },
    );
  }
}

fact("a first connection is not a recovered one", async () => {
  const fresh = await client();
  assert.equal(fresh.recovered, false);
  assert.deepEqual(await emitAck(fresh, "whoami"), [{ id: fresh.id, recovered: false }]);
});

fact("two resumes in a row replay nothing twice", async () => {
  const away = await client();
  const other = await client();
  const news = inbox(away, "news");
  await drop(away);
  await broadcast(other, "missed");
  for (let round = 0; round < 3; round++) {
    await connect(away);
    assert.equal(away.recovered, true);
    await emitAck(away, "message-with-ack");
    await drop(away);
  }
  assert.deepEqual(
    news.drain().map((args) => args[0]),
    ["missed"],
  );
});

fact("a client that is dropped again and again under a stream of events hears all of them once", async () => {
  const away = await client();
  const other = await client();
  const news = inbox(away, "news");
  const total = 200;
  for (let first = 0; first < total; first += 20) {
    const chunk = Array.from({ length: 20 }, (_, index) => first + index);
    const sent = broadcast(other, ...chunk);
    if (away.connected) await drop(away);
    else await connect(away);
    await sent;
  }
  if (!away.connected) await connect(away);
  assert.equal(away.recovered, true);
  assert.deepEqual(await firstArguments(news, total), [...Array(total).keys()]);
  await emitAck(away, "message-with-ack");
  assert.deepEqual(news.drain(), []);
});

fact("every namespace of a connection recovers for itself", async () => {
  const root = await client();
  const custom = root.io.socket("/custom");
  await connect(custom);
  const other = await client(NEWEST, "/custom");
  const ids = [root.id, custom.id];
  const atRoot = inbox(root, "news");
  const atCustom = inbox(custom, "news");
  const customGone = heard(custom, "disconnect");
  await drop(root);
  await customGone;
  await broadcast(other, "custom only");
  const again = connect(custom);
  await connect(root);
  await again;
  assert.deepEqual([root.id, custom.id], ids);
  assert.deepEqual([root.recovered, custom.recovered], [true, true]);
  assert.deepEqual(await firstArguments(atCustom, 1), ["custom only"]);
  await emitAck(root, "message-with-ack");
  assert.deepEqual(atRoot.drain(), []);
});

for (const [name, leave] of [
  ["left by itself", (leaving: Client) => leaving.disconnect()],
  ["was sent away", (leaving: Client) => leaving.emit("kick")],
] as const) {
  fact(`a client that ${name} comes back as a new one`, async () => {
    const leaving = await client();
    const id = leaving.id;
    const gone = heard(leaving, "disconnect");
    leave(leaving);
    await gone;
    await connect(leaving);
    assert.equal(leaving.recovered, false);
    assert.notEqual(leaving.id, id);
  });
}

/** A raw session and all it takes to resume it. */
interface Session {
  wire: Wire;
  sid: string;
  pid: string;
}

async function session(): Promise<Session> {
  const wire = await engineByWebSocket(server);
  const { sid, pid } = await join(wire);
  assert.ok(pid, "recovery is on");
  return { wire, sid, pid };
}

/** Drops a session from the server's side. */
async function dropSession({ wire }: Session): Promise<void> {
  wire.send('42["drop"]');
  await wire.end();
}

/** Resumes and answers the new connection and everything up to the ack of a fence sent behind CONNECT. */
async function resume(payload: object): Promise<{ wire: Wire; heard: string[]; sid: string; pid: string }> {
  const wire = await engineByWebSocket(server);
  wire.send(`40${JSON.stringify(payload)}`);
  const packets: string[] = [];
  const isConnect = (packet: string) => packet.startsWith("40{");
  while (!packets.some(isConnect)) packets.push(String(await wire.heard.next("CONNECT answer")));
  wire.send('420["message-with-ack"]');
  for (;;) {
    const packet = String(await wire.heard.next("fence"));
    if (packet === "430[]") break;
    packets.push(packet);
  }
  const answer = packets.find(isConnect) ?? "";
  return { wire, heard: packets, ...(JSON.parse(answer.slice(2)) as { sid: string; pid: string }) };
}

/** The first arguments of the `news` among packets. */
function newsAmong(packets: string[]): unknown[] {
  return packets
    .filter((packet) => packet.startsWith('42["news"'))
    .map((packet) => (JSON.parse(packet.slice(2)) as unknown[])[1]);
}

/** The offset an event carries as its last argument. */
function offsetOf(packet: string): string {
  const offset = (JSON.parse(packet.slice(2)) as unknown[]).at(-1);
  assert.equal(typeof offset, "string");
  return offset as string;
}

/** Makes a session hear one event, so that it has an offset. */
async function hearOne(first: Session, other: Client): Promise<string> {
  await broadcast(other, "heard");
  const event = await first.wire.heard.until((item) => String(item).startsWith('42["news"'), "news");
  return offsetOf(String(event));
}

fact("CONNECT comes before the events that were missed", async () => {
  const other = await client();
  const first = await session();
  const offset = await hearOne(first, other);
  await dropSession(first);
  await broadcast(other, "missed 1", "missed 2");
  const resumed = await resume({ pid: first.pid, offset });
  assert.match(resumed.heard[0] ?? "", /^40\{/);
  assert.deepEqual(newsAmong(resumed.heard), ["missed 1", "missed 2"]);
});

fact("a resumed session keeps its sid and pid on the wire", async () => {
  const other = await client();
  const first = await session();
  const offset = await hearOne(first, other);
  await dropSession(first);
  const { sid, pid } = await resume({ pid: first.pid, offset });
  assert.deepEqual({ sid, pid }, { sid: first.sid, pid: first.pid });
});

fact("an older offset replays everything behind it", async () => {
  const other = await client();
  const first = await session();
  const offset = await hearOne(first, other);
  await broadcast(other, "sent, never confirmed");
  await dropSession(first);
  await broadcast(other, "missed");
  const resumed = await resume({ pid: first.pid, offset });
  assert.deepEqual(newsAmong(resumed.heard), ["sent, never confirmed", "missed"]);
});

fact("replayed events carry the offsets of the next resume", async () => {
  const other = await client();
  const first = await session();
  const offset = await hearOne(first, other);
  await dropSession(first);
  await broadcast(other, "missed 1", "missed 2");
  const second = await resume({ pid: first.pid, offset });
  const [missed = ""] = second.heard.filter((packet) => packet.startsWith('42["news","missed 1"'));
  second.wire.terminate();
  await second.wire.ended;
  const third = await resume({ pid: first.pid, offset: offsetOf(missed) });
  assert.deepEqual(newsAmong(third.heard), ["missed 2"]);
});

fact("a session of which no event was heard is recovered without an offset", async () => {
  const other = await client();
  const first = await session();
  await dropSession(first);
  await broadcast(other, "missed 1", "missed 2");
  const resumed = await resume({ pid: first.pid });
  assert.equal(resumed.sid, first.sid);
  assert.deepEqual(newsAmong(resumed.heard), ["missed 1", "missed 2"]);
});

fact("a session whose offset was spoiled is recovered, nothing lost and nothing twice", async () => {
  const other = await client();
  const first = await session();
  await hearOne(first, other);
  await dropSession(first);
  await broadcast(other, "missed 1", "missed 2");
  // What a client sends after a volatile event whose last argument is a string.
  const resumed = await resume({ pid: first.pid, offset: "good morning" });
  assert.equal(resumed.sid, first.sid);
  assert.deepEqual(newsAmong(resumed.heard), ["missed 1", "missed 2"]);
});

fact("an unknown pid is a new session that works", async () => {
  const fresh = await resume({ pid: "nobody", offset: "nothing" });
  assert.notEqual(fresh.pid, "nobody");
  assert.equal(fresh.sid.length, 20);
});

for (const [name, payload] of [
  ["a number", { pid: 1, offset: 2 }],
  ["an object", { pid: { a: 1 }, offset: {} }],
  ["null", { pid: null, offset: null }],
  ["a very long text", { pid: "x".repeat(7_000), offset: "y".repeat(7_000) }],
] as const) {
  fact(`a pid that is ${name} is a new session`, async () => {
    const fresh = await resume(payload);
    assert.equal(typeof fresh.pid, "string");
  });
}

fact("a pid is good for its own namespace alone", async () => {
  const other = await client();
  const first = await session();
  const offset = await hearOne(first, other);
  await dropSession(first);
  const wire = await engineByWebSocket(server);
  wire.send(`40/custom,${JSON.stringify({ pid: first.pid, offset })}`);
  const answer = String(await wire.heard.until((item) => String(item).startsWith("40/custom,")));
  assert.ok(!answer.includes(first.sid) && !answer.includes(first.pid), answer);
});

fact("a pid used while its session is alive moves the session to the newest connection", async () => {
  const other = await client();
  const first = await session();
  const offset = await hearOne(first, other);
  const second = await resume({ pid: first.pid, offset });
  assert.equal(second.sid, first.sid);
  await first.wire.end();
  await broadcast(other, "to the newest");
  const event = await second.wire.heard.until((item) => String(item).startsWith('42["news"'), "news");
  assert.match(String(event), /^42\["news","to the newest"/);
  assert.deepEqual(newsAmong(first.wire.heard.drain().map(String)), []);
});
