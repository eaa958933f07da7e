/** One idempotency key, whichever door it comes through and however the client writes JSON. */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { connected, emitAck, NEWEST } from "../lib/clients.ts";
import { closeDoors, hear, openPlain, say, type Ack } from "../lib/doors.ts";
import { ask } from "../lib/http.ts";
import { serverToken, served, stranger, unique } from "../lib/serve.ts";
import type { Wire } from "../lib/wire.ts";

const server = served(["--no-limits"]);

/** `é`, as clients write it that keep to ASCII. */
const ESCAPED = "\\u00e9";

afterEach(closeDoors);

async function signedIn(token: string): Promise<Wire> {
  const wire = await openPlain(server());
  say(wire, { type: "auth", token });
  await hear(wire, "auth:ok");
  return wire;
}

/** Says a publish as text, and answers its ack. */
async function publishText(wire: Wire, said: string): Promise<Ack> {
  wire.send(said);
  const ack = { ...(await hear(wire, "ack")) } as Record<string, unknown>;
  delete ack["type"];
  delete ack["id"];
  return ack as Ack;
}

async function post(path: string, body: string, key?: string): Promise<Ack> {
  const headers = {
    authorization: `Bearer ${serverToken()}`,
    "content-type": "application/json",
    ...(key === undefined ? {} : { "idempotency-key": key }),
  };
  const { body: answer } = await ask(`${server().http}${path}`, { method: "POST", headers, body });
  return JSON.parse(answer) as Ack;
}

/** What an ack says, whoever came first. */
function became(ack: Ack): object {
  const said: Record<string, unknown> = { ...ack };
  delete said["duplicate"];
  delete said["remaining"];
  return said;
}

test("of one key at one moment on every door one event comes, and all are told of it", async () => {
  const [room, key] = [`lobby:${unique("once")}`, unique("key")];
  const { token } = stranger({ scope: "publish" });
  const [json, polling, packed, spaced, escaped] = await Promise.all([
    connected(NEWEST, server(), { auth: { token } }),
    connected({ ...NEWEST, transport: "polling" }, server(), { auth: { token } }),
    connected({ ...NEWEST, parser: "msgpack" }, server(), { auth: { token } }),
    signedIn(token),
    signedIn(token),
  ]);
  const body = { room, event: "paid", data: { name: "é", at: [1, 2.5] }, key };
  const turned = { key, data: { at: [1, 2.5], name: "é" }, event: "paid", room };
  const plain = { type: "publish", id: 1, ...body };
  const acks = await Promise.all([
    ...[json, polling, packed].map(async (client) => (await emitAck(client, "publish", turned))[0] as Ack),
    publishText(spaced, JSON.stringify(plain, null, 2)),
    publishText(escaped, JSON.stringify(plain).replace("é", ESCAPED)),
    post("/api/publish", JSON.stringify(turned)),
    post("/api/publish", JSON.stringify({ ...body, key: undefined }, null, 1), key),
    post("/api/commands/root/publish", JSON.stringify(body).replace("é", ESCAPED)),
  ]);
  for (const ack of acks) assert.deepEqual(became(ack), became(acks[0]));
  assert.equal(acks.filter((ack) => ack["duplicate"] !== true).length, 1);
  const { events } = (await emitAck(json, "history", { room }))[0] as { events: unknown[] };
  assert.equal(events.length, 1);
});

test("a batch that is written in another way under its key is the same batch", async () => {
  const [room, key] = [`lobby:${unique("batch")}`, unique("key")];
  const batch = { key, messages: [1, 2].map((data) => ({ room, event: "paid", data: { a: data, b: "é" } })) };
  const first = (await post("/api/publish/batch", JSON.stringify(batch))) as Ack & { results: Ack[] };
  const text = JSON.stringify(batch, null, 2).replaceAll("é", ESCAPED);
  const again = (await post("/api/publish/batch", text)) as Ack & { results: Ack[] };
  assert.deepEqual(again.results.map(became), first.results.map(became));
  assert.deepEqual(
    again.results.map((result) => result["duplicate"]),
    [true, true],
  );
});

test("a key behind a publish by Socket.IO counts as behind a command of an app", async () => {
  const room = `lobby:${unique("behind")}`;
  const client = await connected(NEWEST, server(), { auth: { token: stranger().token } });
  const body = { room, event: "paid", data: 1 };
  const publish = async (said: object, behind: object) =>
    (await emitAck(client, "publish", said, behind))[0] as Ack;
  const first = await publish(body, { key: "k1" });
  const again = await publish(body, { key: "k1" });
  assert.deepEqual([again["duplicate"], again.messageId], [true, first.messageId]);
  assert.equal((await publish({ ...body, key: "k1" }, { key: "k1" }))["duplicate"], true);
  for (const refused of [publish(body, { key: 1 }), publish({ ...body, key: "k2" }, { key: "k1" })])
    assert.equal((await refused).error?.code, "bad_request");
});
