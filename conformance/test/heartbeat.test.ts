import assert from "node:assert/strict";
import { fixture } from "../lib/fixture.ts";
import { facts } from "../lib/reference.ts";
import { DEADLINE, pause } from "../lib/wait.ts";
import { engineByWebSocket, joined, Polling, type Wire } from "../lib/wire.ts";

const INTERVAL = 300;
/** Longer than a busy machine stands still: who answers answers in time. */
const TIMEOUT = 3_000;
const CONNECT_TIMEOUT = 1_000;

const server = fixture("protocol", [
  ...["--ping-interval", String(INTERVAL)],
  ...["--ping-timeout", String(TIMEOUT)],
]);
const fact = facts();

/** Joins, and from then on answers no ping by itself. */
async function quiet(): Promise<Wire> {
  const wire = await joined(server);
  wire.answersPings = false;
  return wire;
}

fact("the server pings, and a client that answers stays", async () => {
  const wire = await quiet();
  // Longer than a silent one would.
  for (let round = 0; round <= TIMEOUT / INTERVAL; round++) {
    assert.equal(await wire.heard.next(`ping ${round}`), "2");
    wire.send("3");
  }
  wire.send('421["message-with-ack"]');
  assert.equal(await wire.heard.next(), "431[]");
});

fact("a silent client is closed after the ping timeout and not before", async () => {
  // Not from the ping on, which may be heard late.
  const opened = performance.now();
  const wire = await quiet();
  assert.equal(await wire.heard.next("ping"), "2");
  await wire.end(TIMEOUT + DEADLINE);
  const elapsed = performance.now() - opened;
  assert.ok(elapsed > INTERVAL + TIMEOUT - 50, `closed ${elapsed} ms after it was opened`);
});

fact("a silent polling session is gone after the ping timeout", async () => {
  const polling = await Polling.joined(server);
  const answer = await polling.get();
  assert.equal(answer.body, "2");
  const end = await polling.get({ deadline: TIMEOUT + DEADLINE });
  assert.ok(end.status === 400 || end.body === "1" || end.body === "6", `${end.status} ${end.body}`);
  assert.equal((await polling.get()).status, 400);
});

fact("a polling session that answers its pings stays", async () => {
  const polling = await Polling.joined(server);
  for (let round = 0; round < 3; round++) {
    assert.equal((await polling.get()).body, "2");
    assert.equal((await polling.post("3")).status, 200);
  }
});

fact("the next ping is timed from the last pong", async () => {
  const wire = await quiet();
  assert.equal(await wire.heard.next("ping"), "2");
  await pause(100);
  const answered = performance.now();
  wire.send("3");
  assert.equal(await wire.heard.next("ping"), "2");
  const elapsed = performance.now() - answered;
  assert.ok(elapsed > INTERVAL - 50, `${elapsed} ms after the pong`);
});

fact("pongs nobody asked for do not make up for silence", async () => {
  const wire = await quiet();
  wire.send("3", "3", "3");
  assert.equal(await wire.heard.next("ping"), "2");
  await wire.end(TIMEOUT + DEADLINE);
});

fact("a client that pings is closed", async () => {
  const wire = await quiet();
  wire.send("2");
  await wire.end();
});

fact("a connection that joins no namespace is closed after the connect timeout", async () => {
  const opened = performance.now();
  const wire = await engineByWebSocket(server);
  await wire.end(CONNECT_TIMEOUT + DEADLINE);
  assert.ok(performance.now() - opened > CONNECT_TIMEOUT - 100, "not before its time");
});

fact("a refused namespace does not count as joined", async () => {
  const wire = await engineByWebSocket(server);
  wire.send("40/random,");
  assert.equal(await wire.heard.next(), '44/random,{"message":"Invalid namespace"}');
  await wire.end(CONNECT_TIMEOUT + DEADLINE);
});

fact("a joined connection outlives the connect timeout", async () => {
  const wire = await joined(server);
  await pause(CONNECT_TIMEOUT + 500);
  wire.send('421["message-with-ack"]');
  assert.equal(await wire.heard.next(), "431[]");
});
