import assert from "node:assert/strict";
import { fixture } from "../lib/fixture.ts";
import { facts } from "../lib/reference.ts";
import { joined, Polling, type Heard } from "../lib/wire.ts";

const server = fixture("matrix");
const fact = facts();
const ROUNDS = 200;

/** Fails unless every announced attachment follows its packet with nothing between; answers the packets. */
function packetsWithAttachments(heard: Heard[], isAttachment: (item: Heard) => boolean): string[] {
  const packets: string[] = [];
  let due = 0;
  for (const item of heard) {
    if (isAttachment(item)) {
      assert.ok(due > 0, "an attachment nobody announced");
      due -= 1;
      continue;
    }
    assert.equal(due, 0, `${String(item)} came between a packet and its attachments`);
    packets.push(String(item));
    due = Number(/^4[56](\d+)-/.exec(String(item))?.[1] ?? 0);
  }
  assert.equal(due, 0, "attachments are missing at the end");
  return packets;
}

/** Lets another connection broadcast text and bytes while `ask` makes the server send bytes to ours. */
async function flood(ask: () => void | Promise<unknown>): Promise<void> {
  const other = await joined(server);
  for (let round = 0; round < ROUNDS; round++) {
    other.send('42["broadcast","text"]');
    other.send('451-["broadcast",{"_placeholder":true,"num":0}]', Buffer.of(round));
    await ask();
  }
  other.send('42["broadcast","last"]');
}

fact("nothing comes between an event and its attachments on WebSocket", async () => {
  const wire = await joined(server);
  let asked = 0;
  await flood(() => wire.send(`42${asked++}["message-with-ack"]`, '42["bytes"]'));
  wire.send('429999["message-with-ack"]');
  const heard: Heard[] = [];
  const isDone = () => heard.some((item) => item === "439999[]") && heard.some((item) => isLast(item));
  while (!isDone()) heard.push(await wire.heard.next("flood"));
  const packets = packetsWithAttachments(heard, (item) => typeof item !== "string");
  assert.equal(count(packets, '-["bytes"'), ROUNDS);
  assert.equal(count(packets, '["news"'), 2 * ROUNDS + 1);
  assert.deepEqual(
    packets.flatMap((packet) => /^43(\d+)\[\]$/.exec(packet)?.[1] ?? []),
    [...Array(ROUNDS).keys(), 9999].map(String),
  );
});

fact("nothing comes between an event and its attachments in a polling payload", async () => {
  const polling = await Polling.joined(server);
  const flooding = flood(() => polling.post('42["bytes"]'));
  const heard: string[] = [];
  while (!heard.some(isLast)) heard.push(...(await polling.poll()));
  await flooding;
  const packets = packetsWithAttachments(heard, (item) => String(item).startsWith("b"));
  assert.equal(count(packets, '["news"'), 2 * ROUNDS + 1);
  assert.equal(count(packets, '-["bytes"'), ROUNDS);
});

function isLast(item: Heard): boolean {
  return typeof item === "string" && item.startsWith('42["news","last"');
}

function count(packets: string[], part: string): number {
  return packets.filter((packet) => packet.includes(part)).length;
}
