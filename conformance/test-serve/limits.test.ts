import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { byPlain, bySocketIo, closeDoors, hear, openPlain, say, type Ack, type Door } from "../lib/doors.ts";
import { served, startServer, stranger, unique } from "../lib/serve.ts";

const server = served();

afterEach(closeDoors);

for (const [name, door] of Object.entries({
  "Socket.IO": bySocketIo(),
  "the plain protocol": byPlain,
} as Record<string, Door>)) {
  test(`a user's publishes are limited to a hundred a minute by ${name}, and the budget is told`, async () => {
    const member = await door(server(), stranger().token);
    const room = `lobby:${unique("room")}`;
    const acks: Ack[] = [];
    // Well below what a connection may send in a second, so that only the user's bucket can refuse.
    for (let index = 0; index < 120 && acks.at(-1)?.ok !== false; index++) {
      acks.push(await member.command("publish", { room, event: "e", data: index }));
    }
    const refusal = acks.at(-1);
    assert.equal(refusal?.error?.code, "rate_limited");
    assert.equal(refusal?.error?.retryable, true);
    assert.ok((refusal?.error?.retryAfterMs ?? 0) > 0);
    assert.ok(acks.length > 100, `refused after ${acks.length - 1}`);
    assert.equal(typeof acks[0]?.["remaining"], "number");
    assert.equal((await member.command("ping")).ok, true, "ping is not counted");
  });
}

test("a server that is told to end says so, closes with 1012 and exits with 0", async () => {
  const ending = await startServer();
  const wire = await openPlain(ending);
  say(wire, { type: "auth", token: stranger().token });
  await hear(wire, "auth:ok");
  const exit = ending.stop();
  const notice = await hear(wire, "reconnect");
  assert.equal(typeof notice["afterMs"], "number");
  assert.equal((await wire.end(10_000)).code, 1012);
  assert.equal(await exit, 0);
});
