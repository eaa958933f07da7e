import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { closeDoors, hear, openPlain, say } from "../lib/doors.ts";
import { startServer, stranger } from "../lib/serve.ts";

afterEach(closeDoors);

test("a server that is told to end says so, closes with 1012 and exits with 0", async () => {
  const ending = await startServer();
  const wire = await openPlain(ending);
  say(wire, { type: "auth", token: stranger().token });
  await hear(wire, "auth:ok");
  const exit = ending.stop();
  const notice = await hear(wire, "reconnect");
  assert.equal(typeof notice["afterMs"], "number");
  assert.equal((await wire.end(30_000)).code, 1012);
  assert.equal(await exit, 0);
});
