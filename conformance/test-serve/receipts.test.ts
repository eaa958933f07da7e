import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { connect, connected, emitAck, inbox, NEWEST, open, type Client, type Kind } from "../lib/clients.ts";
import { closeDoors, hear, openPlain, say, type Ack } from "../lib/doors.ts";
import { ask } from "../lib/http.ts";
import { start, type Running } from "../lib/process.ts";
import { mint, SECRET, serverToken, stranger, unique } from "../lib/serve.ts";
import { DEADLINE, Inbox, until } from "../lib/wait.ts";

/** The outcome a publisher is told. */
interface Receipt {
  messageId: string;
  outcome: string;
  counts: Record<string, number>;
  tries: number;
  deadLetter: boolean;
  users?: Record<string, string[]>;
}

type Callback = (...answer: unknown[]) => void;

const KINDS: Record<string, Kind> = {
  "socket.io-client 4.8.4": NEWEST,
  "socket.io-client 4.8.4 with msgpack": { ...NEWEST, parser: "msgpack" },
  "socket.io-client 4.0.2 by polling": { version: "4.0.2", transport: "polling", parser: "json" },
};
const ADMIN = mint({ sub: "root", roles: ["admin"] });
const WORD = { event: "said", data: { text: "hello" } };

let folder: string, server: Running;

/** The binary on a data directory that outlives it. */
function run(): Promise<Running> {
  const command = process.env["TIDINGS_BIN"]?.split(/\s+/).filter(Boolean);
  if (!command?.length) throw new Error("TIDINGS_BIN names no server; see conformance/README.md");
  const where = ["--data-dir", join(folder, "data"), "--config", join(folder, "tidings.toml")];
  return start(
    [...command, "serve", "--listen", "127.0.0.1:0", "--no-limits", ...where],
    /listening on http:\/\/(127\.0\.0\.1:\d+)/,
    { JWT_SECRET: SECRET },
  );
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidings-receipts-"));
  const notes = `subscribe = "signed-in"\npublish = "signed-in"\nhistory = "signed-in"\nkeep = "durable"`;
  writeFileSync(
    join(folder, "tidings.toml"),
    `[heartbeat]\ninterval_ms = 1000\n[receipts]\nrecipients = 8\n[rooms.notes]\n${notes}\n`,
  );
  server = await run();
});

after(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(closeDoors);

async function request(method: string, path: string, token: string, body?: object) {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await ask(server.http + path, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
  });
  return JSON.parse(answer.body) as Record<string, unknown> & Ack;
}

/** A member of a room that keeps the callbacks it is given. */
async function member(
  kind: Kind,
  room: string,
  token = stranger().token,
): Promise<[Client, Inbox<unknown[]>]> {
  const client = await connected(kind, server, { auth: { token } });
  const heard = inbox(client, WORD.event);
  const [ack] = (await emitAck(client, "subscribe", { room })) as [Ack];
  assert.equal(ack.ok, true, JSON.stringify(ack));
  return [client, heard];
}

async function publisher(): Promise<[Client, Inbox<Receipt>]> {
  const client = await connected(NEWEST, server, { auth: { token: serverToken() } });
  const receipts = new Inbox<Receipt>();
  client.on("tidings:receipt", (receipt: Receipt) => receipts.push(receipt));
  return [client, receipts];
}

async function publish(client: Client, room: string, receipt: unknown): Promise<Ack> {
  const [ack] = (await emitAck(client, "publish", { room, ...WORD, receipt })) as [Ack];
  return ack;
}

/** The message's record once it is over. */
async function over(messageId: string, fits: (delivery: Receipt) => boolean): Promise<Receipt> {
  const look = async () => {
    const path = `/api/deliveries/${messageId}`;
    const found = (await request("GET", path, serverToken())) as unknown as Receipt & { state: string };
    return found.state === "done" && fits(found) && found;
  };
  return until(look, `end of ${messageId}`);
}

for (const [name, kind] of Object.entries(KINDS)) {
  describe(`by ${name}`, () => {
    test("the callback of a handler acknowledges, and the publisher is told", async () => {
      const room = `lobby:${unique("room")}`;
      const [, heard] = await member(kind, room);
      const [ada, receipts] = await publisher();
      const ack = await publish(ada, room, true);
      const [data, callback] = (await heard.next("event")) as [unknown, Callback];
      assert.deepEqual([data, typeof callback], [WORD.data, "function"]);
      callback("got it");
      const receipt = await receipts.next("receipt");
      assert.deepEqual(
        [receipt.messageId, receipt.outcome, receipt.tries],
        [ack.messageId, "acknowledged", 1],
      );
      const delivery = await over(receipt.messageId, () => true);
      const recipients = (delivery as unknown as { recipients: { answer: string }[] }).recipients;
      assert.deepEqual(
        recipients.map(({ answer }) => answer),
        ["got it"],
      );
    });

    test("binary in what a handler answers is kept as base64", async () => {
      const room = `lobby:${unique("room")}`;
      const [, heard] = await member(kind, room);
      const [ada, receipts] = await publisher();
      await publish(ada, room, true);
      const [, callback] = (await heard.next("event")) as [unknown, Callback];
      callback({ list: [Buffer.from("hi")] });
      const { messageId } = await receipts.next("receipt");
      const delivery = await over(messageId, () => true);
      const [recipient] = (delivery as unknown as { recipients: { answer: unknown }[] }).recipients;
      assert.deepEqual(recipient?.answer, { list: ["aGk="] });
    });

    test("a handler that never calls back is called as often as was asked", async () => {
      const room = `lobby:${unique("room")}`;
      const [client, heard] = await member(kind, room);
      const [ada, receipts] = await publisher();
      await publish(ada, room, { timeoutMs: 150, tries: 3 });
      const receipt = await receipts.next("receipt");
      assert.deepEqual([receipt.outcome, receipt.tries, receipt.counts["timedOut"]], ["timed_out", 3, 1]);
      // What is answered now was sent behind the last try.
      await emitAck(client, "ping");
      assert.equal(heard.drain().length, 3);
    });

    test("a handler of an event that asks for nothing gets no callback", async () => {
      const room = `lobby:${unique("room")}`;
      const [, heard] = await member(kind, room);
      const [ada] = await publisher();
      const ack = await publish(ada, room, undefined);
      assert.equal(ack.ok, true);
      const args = await heard.next("event");
      assert.deepEqual(
        args.filter((arg) => typeof arg === "function"),
        [],
      );
    });
  });
}

test("plain clients acknowledge by message id; who goes meanwhile is gone", async () => {
  const room = `lobby:${unique("room")}`;
  const [one, two] = [await openPlain(server), await openPlain(server)];
  for (const wire of [one, two]) {
    say(wire, { type: "auth", token: stranger().token });
    await hear(wire, "auth:ok");
    say(wire, { type: "subscribe", id: 1, room });
    await hear(wire, "ack");
  }
  const [ada, receipts] = await publisher();
  const ack = await publish(ada, room, { timeoutMs: 8_000, tries: 1 });
  const [event] = [await hear(one, "event"), await hear(two, "event")];
  assert.deepEqual([event["messageId"], event["ack"]], [ack.messageId, true]);
  say(one, { type: "ack", messageId: ack.messageId });
  two.terminate();
  const receipt = await receipts.next("receipt");
  assert.deepEqual(
    [receipt.outcome, receipt.counts["acknowledged"], receipt.counts["gone"]],
    ["partly", 1, 1],
  );
});

test("what cannot be tracked is refused with a code", async () => {
  const room = `lobby:${unique("room")}`;
  const [ada] = await publisher();
  assert.equal((await publish(ada, room, { tries: 11 })).error?.code, "bad_request");
  assert.equal((await publish(ada, room, "yes")).error?.code, "bad_request");
  await Promise.all(Array.from({ length: 9 }, () => member(NEWEST, room)));
  assert.equal((await publish(ada, room, true)).error?.code, "too_large");
});

test(
  "dead letters and persistent subscriptions outlive a killed server",
  { timeout: 6 * DEADLINE },
  async () => {
    const [away, back] = [unique("away"), unique("back")];
    const room = `notes:${unique("room")}`;
    const body = { userId: away, ...WORD, key: "k1", receipt: { timeoutMs: 3_000, tries: 1 } };
    const { messageId } = await request("POST", "/api/publish", serverToken(), body);
    assert.ok(messageId);
    await over(messageId, ({ deadLetter }) => deadLetter);
    const bob = await connected(NEWEST, server, { auth: { token: mint({ sub: back }) } });
    const [kept] = (await emitAck(bob, "subscribe", { room, persist: true })) as [Ack];
    assert.equal(kept.ok, true, JSON.stringify(kept));
    await server.kill();
    closeDoors();

    server = await run();
    const [ada] = await publisher();
    await publish(ada, room, undefined);
    const options = { auth: { token: mint({ sub: back }), persistent: true }, autoConnect: false };
    const again = open(NEWEST, server, options);
    const [events, taken] = [inbox(again, WORD.event), inbox(again, "tidings:subscribed")];
    await connect(again);
    const [notice] = (await taken.next("notice")) as [Ack];
    assert.deepEqual([notice.room, notice["recovered"]], [room, true]);
    assert.deepEqual((await events.next("missed event"))[0], WORD.data);
    await publish(ada, room, undefined);
    await events.next("event of a room that was taken up");

    const { letters } = (await request("GET", "/api/dead-letters", ADMIN)) as unknown as { letters: Ack[] };
    const letter = letters.find((letter) => letter.messageId === messageId);
    assert.deepEqual(
      [letter?.["userId"], letter?.["reason"], letter?.["key"]],
      [away, "not_connected", "k1"],
    );
    const eve = await openPlain(server);
    say(eve, { type: "auth", token: mint({ sub: away }) });
    await hear(eve, "auth:ok");
    const redriven = await request("POST", `/api/dead-letters/${messageId}/redrive`, ADMIN);
    assert.deepEqual([redriven.ok, redriven.messageId], [true, messageId]);
    const event = await hear(eve, "event");
    assert.deepEqual([event["messageId"], event["data"]], [messageId, WORD.data]);
    say(eve, { type: "ack", messageId });
    await over(messageId, ({ outcome }) => outcome === "acknowledged");

    const foreign = mint({ sub: "root", roles: ["admin"], org: unique("org") });
    const theirs = (await request("GET", "/api/dead-letters", foreign)) as unknown as { count: number };
    assert.equal(theirs.count, 0, "organisations do not meet");
  },
);
