import assert from "node:assert/strict";
import { once } from "node:events";
import { fixture } from "../lib/fixture.ts";
import { ask, tcp } from "../lib/http.ts";
import { facts } from "../lib/reference.ts";
import { until, within } from "../lib/wait.ts";
import { Polling } from "../lib/wire.ts";

const server = fixture("matrix");
const small = fixture("matrix", ["--max-payload", "1000"]);
const fact = facts();

async function assertGone(polling: Polling): Promise<void> {
  const answer = await polling.get();
  assert.equal(answer.status, 400);
  assert.deepEqual(JSON.parse(answer.body), { code: 1, message: "Session ID unknown" });
}

async function assertWorks(polling: Polling): Promise<void> {
  assert.equal((await polling.post('429["message-with-ack","here"]')).status, 200);
  const heard = await polling.until((packet) => packet.startsWith("43"));
  assert.equal(heard.at(-1), '439["here"]');
}

/** Writes a request head on a new connection, so that the request stays unfinished or its answer pending. */
async function half(polling: Polling, head: string) {
  const socket = await tcp(server.address);
  socket.on("error", () => {});
  const answer = new Promise<string>((resolve) => {
    let text = "";
    socket.on("data", (part: Buffer) => {
      text += part.toString();
      if (text.includes("\r\n\r\n")) resolve(text);
    });
    socket.once("close", () => resolve(text));
  });
  await new Promise<void>((resolve) => socket.write(head, () => resolve()));
  return { socket, answer: within(answer, `answer to ${polling.path}`) };
}

/** A GET that hangs, seen by the server before the next request is: proven by a POST it must have overtaken. */
async function pendingGet(polling: Polling) {
  const pending = await half(polling, `GET ${polling.path} HTTP/1.1\r\nHost: ${server.address}\r\n\r\n`);
  assert.equal((await polling.post("3")).status, 200);
  return pending;
}

fact("a second GET ends the first with a close packet and the session with it", async () => {
  const polling = await Polling.joined(server);
  const first = await pendingGet(polling);
  const second = await polling.get();
  assert.equal(second.status, 400);
  assert.equal(second.body, "");
  const answer = await first.answer;
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.equal(answer.split("\r\n\r\n")[1], "1");
  await assertGone(polling);
});

fact("a second POST is 400 and ends the session", async () => {
  const polling = await Polling.joined(server);
  const head = `POST ${polling.path} HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n`;
  const first = await half(polling, `${head}42["`);
  // The first head may still be on its way when the second request comes: then that one is answered 200.
  let second = await polling.post("3");
  if (second.status === 200) second = await polling.post("3");
  assert.equal(second.status, 400);
  await assertGone(polling);
  first.socket.destroy();
});

fact("a POST of application/octet-stream is 400 and ends the session", async () => {
  const polling = await Polling.joined(server);
  const answer = await polling.post(Buffer.from("3"), { "content-type": "application/octet-stream" });
  assert.equal(answer.status, 400);
  await assertGone(polling);
});

for (const [name, body] of [
  ["a letter for a packet type", "abc"],
  ["an unknown packet type", "9"],
  ["an event that is an empty array", "42[]"],
  ["bad base64 behind b", "4\x1eb*"],
] as const) {
  fact(`a POST with ${name} ends the session`, async () => {
    const polling = await Polling.joined(server);
    const answer = await polling.post(body);
    assert.ok([200, 400].includes(answer.status), `status ${answer.status}`);
    const next = await polling.get();
    const last = next.body.split("\x1e").at(-1);
    assert.ok(next.status === 400 || last === "1", `${next.status} ${next.body}`);
    await assertGone(polling);
  });
}

fact("a POST over the limit is 413 and the session stays usable", async () => {
  const polling = await Polling.joined(small);
  const answer = await polling.post(`42["message","${"x".repeat(1000)}"]`);
  assert.equal(answer.status, 413);
  assert.equal(answer.body, "");
  await assertWorks(polling);
});

fact("a chunked POST over the limit is 413 and the session stays usable", async () => {
  const polling = await Polling.joined(small);
  const chunk = Buffer.alloc(600, "x");
  const answer = await polling.post([Buffer.from('42["message","'), chunk, chunk]);
  assert.equal(answer.status, 413);
  await assertWorks(polling);
});

fact("a POST as long as the limit is taken", async () => {
  const polling = await Polling.joined(small);
  const body = `425["message-with-ack","${"x".repeat(974)}"]`;
  assert.equal(body.length, 1000);
  assert.equal((await polling.post(body)).status, 200);
  await polling.until((packet) => packet.startsWith("435["));
});

fact("a client that aborts its pending GET has no session any more", async () => {
  const polling = await Polling.joined(server);
  const pending = await pendingGet(polling);
  pending.socket.destroy();
  await once(pending.socket, "close");
  // The server hears of it a moment after we do; nothing else ends this session within the deadline.
  const isGone = async () => (await ask(polling.url, { method: "POST", body: "3" })).status !== 200;
  await until(isGone, "end of the session after the abort");
  await assertGone(polling);
});

fact("a close packet by POST answers the pending GET with a noop and ends the session", async () => {
  const polling = await Polling.joined(server);
  const pending = await pendingGet(polling);
  assert.equal((await polling.post("1")).status, 200);
  const answer = await pending.answer;
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.equal(answer.split("\r\n\r\n")[1], "6");
  await assertGone(polling);
});

fact("a POST cut anywhere on its way is the same POST", async () => {
  const polling = await Polling.joined(server);
  const event = (id: number) => `42${id}["message-with-ack","é😀"]`;
  const body = Buffer.from([event(1), event(2), event(3)].join("\x1e"));
  const bytes = Array.from(body, (byte) => Buffer.of(byte));
  assert.equal((await polling.post(bytes)).status, 200);
  assert.deepEqual(await polling.until((packet) => packet.startsWith("433")), [
    '431["é😀"]',
    '432["é😀"]',
    '433["é😀"]',
  ]);
});

fact("the packets of one POST are answered in one GET", async () => {
  const polling = await Polling.joined(server);
  await polling.post('421["message-with-ack"]\x1e422["message-with-ack"]\x1e423["message-with-ack"]');
  const answer = await polling.get();
  assert.equal(answer.body, "431[]\x1e432[]\x1e433[]");
});

fact("binary travels as base64 in both directions", async () => {
  const polling = await Polling.joined(server);
  await polling.post('451-7["message-with-ack",{"_placeholder":true,"num":0}]\x1ebAQIDBA==');
  const answer = await polling.get();
  assert.equal(answer.body, '461-7[{"_placeholder":true,"num":0}]\x1ebAQIDBA==');
});

fact("attachments may be split over several POSTs", async () => {
  const polling = await Polling.joined(server);
  await polling.post('452-7["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
  await polling.post("bAQ==");
  await polling.post("bAg==");
  const answer = await polling.get();
  const [event, ...attachments] = answer.body.split("\x1e");
  assert.match(event ?? "", /^462-7\[/);
  assert.deepEqual(attachments, ["bAQ==", "bAg=="]);
});

fact("a POST of several packets keeps their order among events of other kinds", async () => {
  const polling = await Polling.joined(server);
  await polling.post('42["message",1]\x1e421["message-with-ack",2]\x1e42["message",3]');
  const heard = await polling.until((packet) => packet.includes('"message-back",3'));
  const shapes = heard.map((packet) => packet.replace(/,"[^"]*"\]$/, "]"));
  assert.deepEqual(shapes, ['42["message-back",1]', "431[2]", '42["message-back",3]']);
});

fact("a long GET body is compressed for a client that accepts it, and is whole", async () => {
  const polling = await Polling.joined(server);
  const text = "x".repeat(5000);
  await polling.post(`421["message-with-ack","${text}"]`);
  const response = await fetch(polling.url, { headers: { "accept-encoding": "gzip" } });
  assert.equal(await response.text(), `431["${text}"]`);
});
