import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { io } from "socket.io-client";
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

test("a stock client is told before its connection is closed", async () => {
  const ending = await startServer();
  const auth = { token: stranger().token };
  const socket = io(ending.http, { transports: ["websocket"], reconnection: false, auth });
  await new Promise<void>((done) => socket.once("connect", done));
  const said: unknown[] = [];
  socket.onAny((...event) => said.push(event));
  const closed = new Promise<string>((done) => socket.once("disconnect", done));
  const exit = ending.stop();
  assert.equal(await closed, "transport close");
  assert.deepEqual(
    said.map((event) => (event as unknown[])[0]),
    ["tidings:reconnect"],
  );
  assert.equal(typeof (said[0] as { afterMs: number }[])[1]?.afterMs, "number");
  assert.equal(await exit, 0);
});

test("stock clients over polling, each request on a connection of its own, are told and end in order", async () => {
  const ending = await startServer();
  const ends = Array.from({ length: 10 }, async (_, at) => {
    const auth = { token: stranger({ scope: "publish" }).token };
    const options = { transports: ["polling"], reconnection: false, forceNew: true, auth };
    const socket = io(ending.http, options);
    await new Promise<void>((done) => socket.once("connect", done));
    let told = false;
    socket.once("tidings:reconnect", () => (told = true));
    // Half of them say something all the time, so that none is between two requests for long.
    const speak = () => void socket.emit("publish", { room: "lobby", event: "said", data: 1 }, speak);
    if (at % 2 === 0) speak();
    const closed = new Promise<string>((done) => socket.once("disconnect", done));
    return async () => ({ reason: await closed, told });
  });
  const closed = await Promise.all(ends);
  const exit = ending.stop();
  const seen = await Promise.all(closed.map((end) => end()));
  assert.deepEqual(seen, Array(10).fill({ reason: "transport close", told: true }));
  assert.equal(await exit, 0);
});
