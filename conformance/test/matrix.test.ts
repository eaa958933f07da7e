import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import {
  closeAll,
  connect,
  connected,
  emitAck,
  heard,
  inbox,
  open,
  TRANSPORTS,
  upgrade,
  VERSIONS,
  type Client,
  type Kind,
  type Transport,
  type Version,
} from "../lib/clients.ts";
import { matrixFixtures, type Parser } from "../lib/fixture.ts";
import { REFERENCE } from "../lib/reference.ts";
import { DEADLINE, Inbox, within } from "../lib/wait.ts";

const servers = matrixFixtures();
const fast = matrixFixtures(["--ping-interval", "300", "--ping-timeout", "5000"]);

const NESTED = { text: "é😀\u2028", list: [1, -2.5, null, true, [], {}], deep: { a: { b: [{ c: "" }] } } };
const BYTES = {
  whole: Buffer.of(0, 127, 128, 255),
  list: [Buffer.of(9), { deep: Buffer.alloc(0) }],
  plain: "x",
};

afterEach(closeAll);

for (const version of Object.keys(VERSIONS) as Version[]) {
  for (const transport of Object.keys(TRANSPORTS) as Transport[]) {
    for (const parser of ["json", "msgpack"] as Parser[]) {
      describe(`client ${version} over ${transport} with ${parser}`, () => {
        matrix({ version, transport, parser });
      });
    }
  }
}

/** Waits until the server's handler has seen a client: what it asked for at the connection is done by then. */
async function settled(client: Client): Promise<void> {
  await emitAck(client, "message-with-ack");
}

/** The facts that hold for every kind of client. */
function matrix(kind: Kind): void {
  const isNewer = (than: string) => kind.version.localeCompare(than, "en", { numeric: true }) >= 0;
  const join = (options = {}, namespace = "") => connected(kind, servers[kind.parser], options, namespace);

  test("the auth payload arrives, be it an object or a function", async () => {
    const auth = { token: "secret", list: [1] };
    for (const form of [auth, (give: (payload: object) => void) => give(auth)]) {
      const client = open(kind, servers[kind.parser], { auth: form, autoConnect: false });
      const event = heard(client, "auth");
      await connect(client);
      assert.deepEqual((await event)[0], auth);
    }
  });

  test("the transport is the one asked for", async () => {
    const client = await join();
    const expected = kind.transport === "polling" ? "polling" : "websocket";
    assert.equal(client.io.engine.transport.name, expected);
    assert.deepEqual(await emitAck(client, "message-with-ack", 1), [1]);
  });

  test("nested JSON comes back as it was sent", async () => {
    const client = await join();
    const back = heard(client, "message-back");
    client.emit("message", NESTED, "second", 3);
    assert.deepEqual((await back).slice(0, 3), [NESTED, "second", 3]);
  });

  test("nested bytes come back as they were sent", async () => {
    const client = await join();
    const back = heard(client, "message-back");
    client.emit("message", BYTES, Buffer.of(1));
    assert.deepEqual((await back).slice(0, 2).map(plain), [plain(BYTES), [1]]);
  });

  test("the server's own bytes arrive", async () => {
    const client = await join();
    const event = heard(client, "bytes");
    client.emit("bytes");
    const found = leaves((await event)[0]);
    assert.ok(found.length >= 2, `${found.length} pieces of bytes`);
    assert.ok(found.every((bytes) => bytes.length > 0));
  });

  test("a client's ack carries JSON and bytes", async () => {
    const client = await join();
    assert.deepEqual(await emitAck(client, "message-with-ack"), []);
    assert.deepEqual(await emitAck(client, "message-with-ack", NESTED, 2), [NESTED, 2]);
    assert.deepEqual((await emitAck(client, "message-with-ack", BYTES)).map(plain), [plain(BYTES)]);
  });

  test("the server's ack is answered by the client, JSON and bytes", async () => {
    const client = await join();
    const answers = inbox(client, "answer");
    client.on("question", (...args: unknown[]) =>
      (args.at(-1) as (...reply: unknown[]) => void)(NESTED, BYTES),
    );
    client.emit("emit-with-ack", "how?");
    const [nested, bytes] = await answers.next("answer");
    assert.deepEqual(nested, NESTED);
    assert.deepEqual(plain(bytes), plain(BYTES));
  });

  if (isNewer("4.4")) {
    test("an ack that does not come in time is an error, one that does is none", async () => {
      const client = await join();
      const outcome = (event: string, ms: number) =>
        within(
          new Promise<unknown[]>((resolve) => {
            client.timeout(ms).emit(event, (...result: unknown[]) => resolve(result));
          }),
          "timeout",
        );
      const [error] = await outcome("no such event", 20);
      assert.match(String(error), /timed out/);
      assert.deepEqual(await outcome("message-with-ack", 4_000), [null]);
    });
  }

  test("namespaces share a connection and nothing else", async () => {
    const root = await join();
    const custom = root.io.socket("/custom", { auth: { from: "custom" } });
    const auth = heard(custom, "auth");
    custom.connect();
    assert.deepEqual((await auth)[0], { from: "custom" });
    assert.notEqual(custom.id, root.id);
    const atRoot = inbox(root, "news");
    const atCustom = heard(custom, "news");
    custom.emit("broadcast", "custom only");
    assert.equal((await atCustom)[0], "custom only");
    assert.deepEqual(await emitAck(root, "message-with-ack", 1), [1]);
    assert.deepEqual(atRoot.drain(), []);
    custom.disconnect();
    assert.deepEqual(await emitAck(root, "message-with-ack", 2), [2]);
  });

  test("a refusal reaches connect_error with its message and data", async () => {
    const client = open(kind, servers[kind.parser], {}, "/locked");
    const [error] = (await heard(client, "connect_error")) as [Error & { data: unknown }];
    assert.equal(error.message, "not allowed");
    assert.deepEqual(error.data, { code: "forbidden" });
    assert.equal(client.connected, false);
  });

  test("a namespace that is not there is refused", async () => {
    const client = open(kind, servers[kind.parser], {}, "/nowhere");
    const [error] = (await heard(client, "connect_error")) as [Error];
    assert.equal(error.message, "Invalid namespace");
  });

  test("a broadcast reaches everybody in the namespace once, in order", async () => {
    const clients = [await join(), await join(), await join()];
    for (const client of clients) await settled(client);
    const boxes = clients.map((client) => inbox(client, "news"));
    const sent = [NESTED, "two", 3];
    for (const item of sent) clients[0]?.emit("broadcast", item);
    for (const box of boxes) {
      assert.deepEqual(
        (await box.take(3, "news")).map((args) => args[0]),
        sent,
      );
    }
    // An ack behind the events proves that nothing came twice.
    for (const client of clients) await emitAck(client, "message-with-ack");
    for (const box of boxes) assert.deepEqual(box.drain(), []);
  });

  test("volatile events of a connected client arrive, those of a disconnected one never do", async () => {
    const client = await join();
    const back = inbox(client, "message-back");
    await writable(client);
    client.volatile.emit("message", "in time");
    assert.equal((await back.next("volatile event"))[0], "in time");
    client.disconnect();
    client.volatile.emit("message", "too early");
    client.emit("message", "buffered");
    await connect(client);
    assert.equal((await back.next("buffered event"))[0], "buffered");
  });

  test("events keep their order over connecting and upgrading", async () => {
    const client = open(kind, servers[kind.parser], { autoConnect: false });
    const back = inbox(client, "message-back");
    const count = 60;
    for (let index = 0; index < 20; index++) client.emit("message", index);
    const connecting = connect(client);
    const upgrading = kind.transport === "upgrade" ? upgrade(client) : Promise.resolve();
    await connecting;
    for (let index = 20; index < 40; index++) client.emit("message", index);
    await upgrading;
    for (let index = 40; index < count; index++) client.emit("message", index);
    assert.deepEqual(
      (await back.take(count, "echo")).map((args) => args[0]),
      [...Array(count).keys()],
    );
  });

  test("a client that leaves hears why, and the server lets it come back as another", async () => {
    const client = await join();
    const first = client.id;
    const left = heard(client, "disconnect");
    client.disconnect();
    assert.equal((await left)[0], "io client disconnect");
    await connect(client);
    assert.notEqual(client.id, first);
  });

  test("a client that is sent away hears it from the server and stays away", async () => {
    const client = await join();
    let attempts = 0;
    client.io.on("reconnect_attempt", () => (attempts += 1));
    const left = heard(client, "disconnect");
    client.emit("kick");
    assert.equal((await left)[0], "io server disconnect");
    const other = await join();
    await emitAck(other, "message-with-ack");
    assert.equal(attempts, 0);
    assert.equal(client.connected, false);
  });

  test("a client whose transport is dropped comes back by itself and works", async () => {
    const client = await join();
    const left = heard(client, "disconnect");
    const back = heard(client, "connect");
    client.emit("drop");
    const [reason] = await left;
    // A polling client sees its request refused or a close packet, whichever comes first.
    const reasons =
      kind.transport === "polling" ? ["transport close", "transport error"] : ["transport close"];
    assert.ok(reasons.includes(String(reason)), String(reason));
    await back;
    assert.deepEqual(await emitAck(client, "message-with-ack", "again"), ["again"]);
  });

  test("heartbeats keep a quiet client connected", async () => {
    const client = await connected(kind, fast[kind.parser]);
    const pinged = nextPing(client);
    for (let round = 0; round < 3; round++) await pinged(round);
    assert.deepEqual(await emitAck(client, "message-with-ack", 1), [1]);
  });

  if (kind.version === "4.8.4") {
    test("events with retries are acknowledged one after the other, over a drop too", async () => {
      const client = await join({ retries: 5, ackTimeout: 1_000 });
      const emitted = [0, 1, 2].map((item) => client.emitWithAck("message-with-ack", item));
      assert.deepEqual(await within(Promise.all(emitted), "three acks"), [0, 1, 2]);
      const raw = client as Client & { io: { engine: { close(): void } } };
      raw.io.engine.close();
      const over = [3, 4].map((item) => client.emitWithAck("message-with-ack", item));
      assert.deepEqual(await within(Promise.all(over), "acks after the drop"), [3, 4]);
    });

    test("an event nobody acknowledges fails after its retries and lets the next one through", async () => {
      const client = await join({ retries: 1, ackTimeout: 50 });
      const lost = within(client.emitWithAck("no such event"), "outcome");
      const next = client.timeout(DEADLINE).emitWithAck("message-with-ack", "next");
      await assert.rejects(lost, /timed out/);
      assert.equal(await within(next, "next ack"), "next");
    });
  }
}

describe(
  "clients of both parsers",
  { skip: REFERENCE && "the reference fixes the parser per server" },
  () => {
    test("hear each other's broadcasts, bytes and all", async () => {
      const json = await connected(
        { version: "4.8.4", transport: "websocket", parser: "json" },
        servers.json,
      );
      const msgpack = await connected(
        { version: "4.8.4", transport: "polling", parser: "msgpack" },
        servers.msgpack,
      );
      for (const client of [json, msgpack]) await settled(client);
      for (const sender of [json, msgpack]) {
        const boxes = [heard(json, "news"), heard(msgpack, "news")];
        sender.emit("broadcast", { nested: NESTED, bytes: BYTES });
        for (const box of boxes) {
          const [news] = await box;
          assert.deepEqual(plain(news), plain({ nested: NESTED, bytes: BYTES }));
        }
      }
    });
  },
);

/** Every kind of bytes as a list of numbers, everything else as it is. */
function plain(value: unknown): unknown {
  if (value instanceof ArrayBuffer) return [...new Uint8Array(value)];
  if (ArrayBuffer.isView(value)) return [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)];
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** The bytes anywhere inside a value. */
function leaves(value: unknown): Uint8Array[] {
  if (ArrayBuffer.isView(value)) return [new Uint8Array(value.buffer, value.byteOffset, value.byteLength)];
  if (value instanceof ArrayBuffer) return [new Uint8Array(value)];
  if (value === null || typeof value !== "object") return [];
  return Object.values(value).flatMap(leaves);
}

/** Waits until the transport takes a volatile event: nothing is buffered behind the last ack. */
async function writable(client: Client): Promise<void> {
  await emitAck(client, "message-with-ack");
  const engine = client.io.engine as unknown as { transport: { writable: boolean }; once: OnceListener };
  if (engine.transport.writable) return;
  await within(new Promise<void>((resolve) => engine.once("drain", resolve)), "drain");
}

type OnceListener = (event: string, listener: () => void) => void;

/** Answers a function that waits for the engine's next ping; every release tells of packets, not all of pings. */
function nextPing(client: Client): (round: number) => Promise<unknown> {
  const pings = new Inbox<true>();
  client.io.engine.on("packet", ({ type }: { type: string }) => {
    if (type === "ping") pings.push(true);
  });
  return (round) => pings.next(`ping ${round}`);
}
