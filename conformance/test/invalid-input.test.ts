import assert from "node:assert/strict";
import { fixture } from "../lib/fixture.ts";
import { facts } from "../lib/reference.ts";
import { engineByWebSocket, join, joined, type Heard, type Wire } from "../lib/wire.ts";

const server = fixture("matrix");
const small = fixture("matrix", ["--max-payload", "1000"]);
const fact = facts();

const placeholders = (count: number) =>
  Array.from({ length: count }, (_, num) => `{"_placeholder":true,"num":${num}}`).join(",");
const byte = Buffer.of(7);

/** Sent on a connection that has joined `/`; each must close it. */
const CLOSES: [string, Heard[]][] = [
  ["an empty Socket.IO packet", ["4"]],
  ["an empty frame", [""]],
  ["an unknown Engine.IO type", ["9"]],
  ["a letter for an Engine.IO type", ["abc"]],
  ["a letter for a Socket.IO type", ["4abc"]],
  ["a Socket.IO type beyond the last", ["47[]"]],
  ["an event that is an empty array", ["42[]"]],
  ["an event that is an object", ["42{}"]],
  ["an event that is a string", ['42"echo"']],
  ["an event whose JSON is cut", ['42["echo"']],
  ["an event with something before its JSON", ['42abc["echo"]']],
  ["an event with something behind its JSON", ['42["message"]x']],
  ["an event whose name is null", ["42[null]"]],
  ["an event whose name is an object", ["42[{}]"]],
  ["a binary event with no attachment", ['450-["message"]']],
  ["a binary event with no attachment count", ['45["message"]']],
  ["a binary event with eleven attachments", [`4511-["message",${placeholders(11)}]`]],
  ["a binary event that announces more attachments than memory holds", ['4599999999999-["message"]']],
  ["a placeholder beyond the attachments", ['451-["message",{"_placeholder":true,"num":1}]', byte]],
  ["a negative placeholder", ['451-["message",{"_placeholder":true,"num":-1}]', byte]],
  ["a placeholder whose number is text", ['451-["message",{"_placeholder":true,"num":"0"}]', byte]],
  ["text where an attachment is due", [`451-["message",${placeholders(1)}]`, '42["message"]']],
  ["an attachment that is not due", [byte]],
  ["a second CONNECT", ["40"]],
  ["a CONNECT_ERROR from a client", ['44{"message":"no"}']],
  ["an event for a namespace not joined", ['42/custom,["message"]']],
  ["an ack whose payload is an object", ["431{}"]],
  ["a disconnect with a payload", ['41{"a":1}']],
  ["a ping from the client", ["2"]],
  ...["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"].map(
    (name): [string, Heard[]] => [`the reserved event name ${name}`, [`42["${name}"]`]],
  ),
];

for (const [name, frames] of CLOSES) {
  fact(`${name} closes the connection`, async () => {
    const wire = await joined(server);
    wire.send(...frames);
    await wire.end();
    assert.deepEqual(wire.heard.drain(), [], "nothing is answered");
  });
}

/** Sent on a connection that has joined nothing; each must close it. */
const CLOSES_BEFORE_CONNECT: [string, string][] = [
  ["an event before CONNECT", '42["message"]'],
  ["an ack before CONNECT", "431[]"],
  ["a CONNECT whose payload is an array", "40[]"],
  ["a CONNECT whose payload is a string", '40"s"'],
  ["a CONNECT whose payload is a truth value", "40true"],
  ["a CONNECT whose JSON is cut", '40{"token":'],
  ["an event of a namespace before its CONNECT", '42/custom,["message"]'],
];

for (const [name, frame] of CLOSES_BEFORE_CONNECT) {
  fact(`${name} closes the connection`, async () => {
    const wire = await engineByWebSocket(server);
    wire.send(frame);
    await wire.end();
    assert.deepEqual(wire.heard.drain(), [], "nothing is answered");
  });
}

/** Sent on a connection that has joined `/`; none may be answered, none may hurt. */
const IGNORED: [string, Heard[]][] = [
  ["an ack for an id never given", ["43999[]"]],
  ["an ack without id", ["43[]"]],
  ["a binary ack for an id never given", [`461-999[${placeholders(1)}]`, byte]],
  ["an open packet from the client", ["0"]],
  ["an upgrade packet with nothing to upgrade", ["5"]],
  ["a noop from the client", ["6"]],
  ["a pong nobody asked for", ["3"]],
  ["an event nobody listens to", ['42["no such event",1]']],
  ["an event whose name is a number", ['42[1,"x"]']],
];

async function assertWorks(wire: Wire): Promise<void> {
  wire.send('420["message-with-ack","still here"]');
  assert.equal(await wire.heard.next("ack"), '430["still here"]');
}

for (const [name, frames] of IGNORED) {
  fact(`${name} is ignored`, async () => {
    const wire = await joined(server);
    wire.send(...frames);
    await assertWorks(wire);
  });
}

fact("an event without a payload runs no handler", async () => {
  const wire = await joined(server);
  wire.send("42", '421["message-with-ack"]');
  // Node goes on, the specification says close: either will do, an answer to the empty event will not.
  const first = await Promise.race([wire.heard.next("ack"), wire.ended]);
  if (typeof first === "string") assert.equal(first, "431[]");
  else assert.equal(wire.isOpen, false);
});

fact("a placeholder in an event without attachments is data", async () => {
  const wire = await joined(server);
  wire.send(`421["message-with-ack",${placeholders(1)}]`);
  assert.equal(await wire.heard.next(), `431[${placeholders(1)}]`);
});

fact("fewer placeholders than attachments are accepted", async () => {
  const wire = await joined(server);
  wire.send(`452-1["message-with-ack",${placeholders(1)}]`, byte, Buffer.of(8));
  assert.deepEqual(await wire.heard.take(2), [`461-1[${placeholders(1)}]`, byte]);
  await assertWorks(wire);
});

fact("ten attachments are accepted and sent back in order", async () => {
  const wire = await joined(server);
  const bytes = Array.from({ length: 10 }, (_, index) => Buffer.of(index));
  wire.send(`4510-5["message-with-ack",${placeholders(10)}]`, ...bytes);
  assert.deepEqual(await wire.heard.take(11), [`4610-5[${placeholders(10)}]`, ...bytes]);
});

fact("attachments may come as base64 text frames", async () => {
  const wire = await joined(server);
  wire.send(`451-3["message-with-ack",${placeholders(1)}]`, "bAQID");
  assert.deepEqual(await wire.heard.take(2), [`461-3[${placeholders(1)}]`, Buffer.of(1, 2, 3)]);
});

fact("a client that says b64 gets its bytes as text on WebSocket", async () => {
  const wire = await joined(server, "&b64=1");
  wire.send(`451-3["message-with-ack",${placeholders(1)}]`, Buffer.of(1, 2, 3));
  assert.deepEqual(await wire.heard.take(2), [`461-3[${placeholders(1)}]`, "bAQID"]);
});

fact("the comma behind a namespace may be missing when nothing follows", async () => {
  const wire = await joined(server);
  wire.send("40/custom");
  assert.match(String(await wire.heard.next()), /^40\/custom,\{"sid":"/);
});

fact("an unknown namespace is refused and the connection lives on", async () => {
  const wire = await joined(server);
  wire.send("40/random,");
  assert.equal(await wire.heard.next(), '44/random,{"message":"Invalid namespace"}');
  await assertWorks(wire);
});

fact("a query behind a namespace is part of its name", async () => {
  const wire = await engineByWebSocket(server);
  wire.send("40/custom?token=1,");
  assert.equal(await wire.heard.next(), '44/custom?token=1,{"message":"Invalid namespace"}');
});

fact("a namespace is refused with the message and data of its middleware", async () => {
  const wire = await engineByWebSocket(server);
  wire.send("40/locked,");
  const answer = String(await wire.heard.next());
  assert.ok(answer.startsWith("44/locked,"), answer);
  assert.deepEqual(JSON.parse(answer.slice("44/locked,".length)), {
    message: "not allowed",
    data: { code: "forbidden" },
  });
  await join(wire);
  await assertWorks(wire);
});

fact("after a disconnect from one namespace the others go on", async () => {
  const wire = await joined(server);
  await join(wire, "/custom,");
  wire.send("41/custom,");
  await assertWorks(wire);
  await join(wire, "/custom,");
});

for (const id of ["0", "1", "4294967296", "9007199254740991"]) {
  fact(`the ack id ${id} comes back as it was sent`, async () => {
    const wire = await joined(server);
    wire.send(`42${id}["message-with-ack",1]`);
    assert.equal(await wire.heard.next(), `43${id}[1]`);
  });
}

fact("JSON comes back as it was sent", async () => {
  const wire = await joined(server);
  const value = { text: 'é\u2028\u0000😀"\\', list: [[], {}, null, true, -1.5e-7], deep: { a: { b: [{}] } } };
  wire.send(`421${JSON.stringify(["message-with-ack", value])}`);
  const answer = String(await wire.heard.next());
  assert.deepEqual(JSON.parse(answer.slice(3)), [value]);
});

fact("a message as long as the limit is taken, one byte more closes with 1009", async () => {
  const wire = await joined(small);
  const ofLength = (length: number) => `421["message-with-ack","${"x".repeat(length - 26)}"]`;
  assert.equal(ofLength(1000).length, 1000);
  wire.send(ofLength(1000));
  assert.match(String(await wire.heard.next()), /^431\["x+"\]$/);
  wire.send(ofLength(1001));
  assert.equal((await wire.end()).code, 1009);
});

fact("an attachment longer than the limit closes with 1009", async () => {
  const wire = await joined(small);
  wire.send(`451-["message",${placeholders(1)}]`, Buffer.alloc(1001));
  assert.equal((await wire.end()).code, 1009);
});

fact("JSON nested deeper than any stack leaves the server well", async () => {
  const wire = await joined(server);
  const depth = 100_000;
  wire.send(`42["no such event",${"[".repeat(depth)}${"]".repeat(depth)}]`);
  const other = await joined(server);
  await assertWorks(other);
});

fact("an end in the middle of a binary event leaves the server well", async () => {
  const wire = await joined(server);
  wire.send(`452-["message",${placeholders(2)}]`, byte);
  wire.terminate();
  await assertWorks(await joined(server));
});
