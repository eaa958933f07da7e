import assert from "node:assert/strict";
import { fixture } from "../lib/fixture.ts";
import { facts } from "../lib/reference.ts";
import { Polling, type Wire } from "../lib/wire.ts";

const server = fixture("matrix");
const fact = facts();

async function probed(polling: Polling): Promise<Wire> {
  const wire = await polling.openWebSocket();
  wire.send("2probe");
  assert.equal(await wire.heard.next("probe answer"), "3probe");
  return wire;
}

async function upgraded(polling: Polling): Promise<Wire> {
  const wire = await probed(polling);
  wire.send("5");
  return wire;
}

async function assertWorks(wire: Wire): Promise<void> {
  wire.send('421["message-with-ack","here"]');
  assert.equal(await wire.heard.next("ack"), '431["here"]');
}

async function assertPollingWorks(polling: Polling): Promise<void> {
  assert.equal((await polling.post('429["message-with-ack","here"]')).status, 200);
  assert.deepEqual(await polling.poll(), ['439["here"]']);
}

fact("a probe is answered, a pending GET gets a noop, and the session goes over", async () => {
  const polling = await Polling.joined(server);
  const pending = polling.get();
  const wire = await probed(polling);
  assert.equal((await pending).body, "6");
  wire.send("5");
  await assertWorks(wire);
});

fact("what was buffered for polling is flushed over the WebSocket after the upgrade", async () => {
  const polling = await Polling.joined(server);
  const wire = await probed(polling);
  assert.equal((await polling.post('421["message-with-ack","buffered"]')).status, 200);
  wire.send("5");
  assert.equal(await wire.heard.next("buffered ack"), '431["buffered"]');
});

fact("until the upgrade packet the server keeps talking by polling", async () => {
  const polling = await Polling.joined(server);
  const wire = await probed(polling);
  assert.equal((await polling.post('421["message-with-ack","by polling"]')).status, 200);
  const heard = await polling.until((packet) => packet.startsWith("43"));
  assert.equal(heard.at(-1), '431["by polling"]');
  assert.deepEqual(wire.heard.drain(), []);
  wire.send("5");
  await assertWorks(wire);
});

fact("bytes sent around the upgrade stay behind their event", async () => {
  const polling = await Polling.joined(server);
  const wire = await probed(polling);
  await polling.post('451-2["message-with-ack",{"_placeholder":true,"num":0}]\x1ebAQID');
  wire.send("5");
  assert.equal(await wire.heard.next("binary ack"), '461-2[{"_placeholder":true,"num":0}]');
  assert.deepEqual(await wire.heard.next("attachment"), Buffer.of(1, 2, 3));
});

fact("a GET after the upgrade is 400 with code 3 and the WebSocket lives on", async () => {
  const polling = await Polling.joined(server);
  const wire = await upgraded(polling);
  await assertWorks(wire);
  const answer = await polling.get();
  assert.equal(answer.status, 400);
  assert.deepEqual(JSON.parse(answer.body), { code: 3, message: "Bad request" });
  await assertWorks(wire);
});

fact("a second WebSocket for an upgraded session is closed and the first lives on", async () => {
  const polling = await Polling.joined(server);
  const wire = await upgraded(polling);
  await assertWorks(wire);
  await assertRefused(polling);
  await assertWorks(wire);
});

fact("a second WebSocket for a session that is upgrading is closed and the first goes on", async () => {
  const polling = await Polling.joined(server);
  const wire = await probed(polling);
  await assertRefused(polling);
  wire.send("5");
  await assertWorks(wire);
});

/** A refusal may come before the 101 or as a close after it. */
async function assertRefused(polling: Polling): Promise<void> {
  let second: Wire;
  try {
    second = await polling.openWebSocket();
  } catch {
    return;
  }
  second.send("2probe");
  await second.end();
  assert.deepEqual(second.heard.drain(), []);
}

for (const [name, frame] of [
  ["a message", '42["message"]'],
  ["a ping that is no probe", "2other"],
  ["an unknown packet", "x"],
  ["bytes", Buffer.of(1)],
] as const) {
  fact(`${name} as first packet of an upgrade closes the WebSocket alone`, async () => {
    const polling = await Polling.joined(server);
    const wire = await polling.openWebSocket();
    wire.send(frame);
    await wire.end();
    await assertPollingWorks(polling);
  });
}

fact("a WebSocket lost between probe and upgrade leaves the polling session alone", async () => {
  const polling = await Polling.joined(server);
  const wire = await probed(polling);
  wire.terminate();
  await wire.ended;
  await assertPollingWorks(polling);
  await assertWorks(await upgraded(polling));
});

fact("an upgrade not finished within ten seconds is closed and polling goes on", async () => {
  const polling = await Polling.joined(server);
  const wire = await probed(polling);
  const started = performance.now();
  await wire.end(20_000);
  assert.ok(performance.now() - started > 8_000, "not before its time");
  await polling.post('429["message-with-ack","here"]');
  await polling.until((packet) => packet === '439["here"]');
});
