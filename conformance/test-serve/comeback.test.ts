import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { io, type Socket } from "socket.io-client";
import { ask } from "../lib/http.ts";
import { ownPort } from "../lib/port.ts";
import { start, type Running } from "../lib/process.ts";
import { mint, SECRET, serverToken, unique } from "../lib/serve.ts";
import { within } from "../lib/wait.ts";

const data = mkdtempSync(join(tmpdir(), "tidings-comeback-"));
after(() => rmSync(data, { recursive: true, force: true }));

/** Where the server listens each time. */
const listen = `127.0.0.1:${await ownPort()}`;

/** Starts the server on the same data as before; sessions are stored unless that is switched off. */
async function startAgain(stored = true): Promise<Running> {
  const command = process.env["TIDINGS_BIN"]?.split(/\s+/).filter(Boolean) ?? [];
  const rooms = `[rooms.notes]\nkeep = "durable"\nsubscribe = "anyone"\npublish = "anyone"\nhistory = "anyone"\n`;
  const config = join(data, "tidings.toml");
  writeFileSync(config, `[recovery]\nstored = ${stored}\n${rooms}`);
  const flags = ["serve", "--listen", listen, "--data-dir", data, "--config", config];
  return start([...command, ...flags], /listening on http:\/\/(127\.0\.0\.1:\d+)/, { JWT_SECRET: SECRET });
}

const backend = serverToken();

async function publish(server: Running, room: string, number: number): Promise<void> {
  const body = JSON.stringify({ room, event: "said", data: number });
  const headers = { Authorization: `Bearer ${backend}`, "Content-Type": "application/json" };
  const answer = await fetch(`${server.http}/api/publish`, { method: "POST", headers, body });
  assert.equal(answer.status, 200, await answer.text());
}

const connected = (socket: Socket) =>
  within(new Promise<void>((resolve) => socket.once("connect", resolve)), "a connection", 20_000);

/** Waits until a client knows that its connection is over, by whatever ends it; it does not come back by itself. */
async function loses(socket: Socket, end: () => unknown): Promise<void> {
  socket.io.reconnection(false);
  const gone = within(
    new Promise((resolve) => socket.once("disconnect", resolve)),
    "the end of the connection",
  );
  await Promise.all([gone, end()]);
}

/** Comes back, and from now on by itself again. */
async function comesBack(socket: Socket): Promise<void> {
  socket.io.reconnection(true);
  socket.connect();
  await connected(socket);
}

/** What a client has heard, and a way to wait until that is so many events. */
function listening(socket: Socket) {
  const heard: number[] = [];
  const waiting: { count: number; done: () => void }[] = [];
  // Handlers that take what they know: the offset behind it is no business of theirs.
  socket.on("said", (number: number) => {
    heard.push(number);
    for (const one of waiting) if (heard.length >= one.count) one.done();
  });
  const until = (count: number) =>
    within(
      new Promise<void>((done) => (heard.length >= count ? done() : waiting.push({ count, done }))),
      `${count} events`,
      20_000,
    );
  return { heard, until };
}

for (const transport of ["websocket", "polling"] as const) {
  test(`a client over ${transport} goes on where it was after the server was killed`, async () => {
    let server = await startAgain();
    const room = `notes:${unique("r")}`;
    const socket = io(server.http, {
      transports: [transport],
      auth: { token: mint({ sub: unique("user") }) },
      reconnectionDelay: 50,
      reconnectionDelayMax: 100,
    });
    const { heard, until } = listening(socket);
    await connected(socket);
    assert.equal(socket.recovered, false);
    const id = socket.id;
    const answer = (await socket.emitWithAck("subscribe", { room })) as { ok: boolean };
    assert.equal(answer.ok, true);
    for (const number of [1, 2, 3]) await publish(server, room, number);
    await until(3);

    for (const round of [1, 2]) {
      await loses(socket, () => server.kill());
      server = await startAgain();
      for (const number of [10, 11]) await publish(server, room, round * 100 + number);
      await comesBack(socket);
      assert.equal(socket.recovered, true, `round ${round}`);
      assert.equal(socket.id, id);
      await publish(server, room, round * 100 + 12);
      await until(3 + 3 * round);
    }
    assert.deepEqual(heard, [1, 2, 3, 110, 111, 112, 210, 211, 212]);
    socket.disconnect();
    await server.stop();
  });
}

for (const transport of ["websocket", "polling"] as const) {
  test(`a client over ${transport} misses nothing of its personal room when the server is stopped in order`, async () => {
    let server = await startAgain();
    const user = unique("user");
    const say = async (number: number): Promise<void> => {
      const body = JSON.stringify({ userId: user, event: "said", data: number });
      const headers = { Authorization: `Bearer ${backend}`, "Content-Type": "application/json" };
      const answer = await fetch(`${server.http}/api/publish`, { method: "POST", headers, body });
      assert.equal(answer.status, 200, await answer.text());
    };
    const socket = io(server.http, { transports: [transport], auth: { token: mint({ sub: user }) } });
    const { heard, until } = listening(socket);
    await connected(socket);
    const id = socket.id;
    await say(1);
    await until(1);
    // It is away when something is said, and the server is gone before it is back.
    await loses(socket, () => {
      socket.io.engine.close();
    });
    await say(2);
    await server.stop();
    server = await startAgain();
    await say(3);
    await comesBack(socket);
    assert.equal(socket.recovered, true);
    assert.equal(socket.id, id);
    await until(3);
    // And connected until the end, it hears nothing twice.
    await loses(socket, () => server.stop());
    server = await startAgain();
    await comesBack(socket);
    assert.equal(socket.recovered, true);
    await say(4);
    await until(4);
    assert.deepEqual(heard, [1, 2, 3, 4]);
    // What is in memory alone does not outlive a crash, and that is told.
    await loses(socket, () => server.kill());
    server = await startAgain();
    await comesBack(socket);
    assert.equal(socket.recovered, false);
    socket.disconnect();
    await server.stop();
  });
}

for (const reads of ["its personal room alone", "a durable room as well"] as const) {
  test(`who is in ${reads} hears what is in memory in its order over a restart`, async () => {
    let server = await startAgain();
    const [user, notes] = [unique("user"), `notes:${unique("r")}`];
    // What is said in durable rooms moves the point at which everything else is said.
    await publish(server, notes, 0);
    const socket = io(server.http, { transports: ["websocket"], auth: { token: mint({ sub: user }) } });
    const { heard, until } = listening(socket);
    await connected(socket);
    if (reads !== "its personal room alone") await socket.emitWithAck("subscribe", { room: notes });
    await publish(server, `user:${user}`, 1);
    await until(1);
    await loses(socket, () => {
      socket.io.engine.close();
    });
    for (const number of [2, 3]) await publish(server, `user:${user}`, number);
    await server.stop();
    server = await startAgain();
    // Nothing durable was read by this process when that is said.
    await publish(server, `user:${user}`, 4);
    await comesBack(socket);
    assert.equal(socket.recovered, true);
    await until(4);
    assert.deepEqual(heard, [1, 2, 3, 4]);
    socket.disconnect();
    await server.stop();
  });
}

for (const transport of ["websocket", "polling"] as const) {
  test(`a client whose engine closed over ${transport} takes its session up, one that left does not`, async () => {
    const server = await startAgain();
    const room = `notes:${unique("r")}`;
    const socket = io(server.http, {
      transports: [transport],
      auth: { token: mint({ sub: unique("user") }) },
      reconnectionDelay: 50,
      reconnectionDelayMax: 100,
    });
    const { heard, until } = listening(socket);
    await connected(socket);
    await socket.emitWithAck("subscribe", { room });
    await publish(server, room, 1);
    await until(1);
    for (const number of [2, 3]) {
      socket.io.engine.close();
      await publish(server, room, number);
      await connected(socket);
      assert.equal(socket.recovered, true);
      await until(number);
    }
    socket.disconnect();
    await publish(server, room, 4);
    socket.connect();
    await connected(socket);
    assert.equal(socket.recovered, false);
    assert.deepEqual(heard, [1, 2, 3]);
    socket.disconnect();
    await server.stop();
  });
}

test("a client is told that it missed something when an older copy of the database is put in its place", async () => {
  let server = await startAgain();
  const room = `notes:${unique("r")}`;
  const token = mint({ sub: unique("user") });
  const socket = io(server.http, { transports: ["websocket"], auth: { token } });
  const { heard, until } = listening(socket);
  await connected(socket);
  const entered = (await socket.emitWithAck("subscribe", { room })) as { epoch: string };
  for (const number of [1, 2, 3]) await publish(server, room, number);
  await until(3);
  await loses(socket, () => server.stop());
  const files = ["tidings.db", "tidings.db-wal", "tidings.db-shm"].map((name) => join(data, name));
  const copies = files.filter((file) => existsSync(file)).map((file) => [file, `${file}.copy`] as const);
  for (const [file, copy] of copies) copyFileSync(file, copy);

  server = await startAgain();
  await comesBack(socket);
  assert.equal(socket.recovered, true);
  for (const number of [4, 5]) await publish(server, room, number);
  await until(5);
  await loses(socket, () => server.kill());
  for (const file of files) rmSync(file, { force: true });
  for (const [file, copy] of copies) copyFileSync(copy, file);
  server = await startAgain();
  // More is said than was lost, so that all numbers are as high as they were.
  for (const number of [14, 15, 16, 17]) await publish(server, room, number);
  await comesBack(socket);
  assert.equal(socket.recovered, false);
  const since = { epoch: entered.epoch, offset: 5 };
  const again = (await socket.emitWithAck("subscribe", { room, since })) as {
    recovered: boolean;
    epoch: string;
  };
  assert.equal(again.recovered, false);
  assert.notEqual(again.epoch, entered.epoch);
  // Told so, it is sent what there is.
  await until(12);
  assert.deepEqual(heard, [1, 2, 3, 4, 5, 1, 2, 3, 14, 15, 16, 17]);
  const admin = mint({ sub: "root", roles: ["operator"] });
  const audit = await fetch(`${server.http}/api/audit?action=database.moved_back`, {
    headers: { Authorization: `Bearer ${admin}` },
  });
  const { entries } = (await audit.json()) as { entries: { object: string }[] };
  assert.equal(entries.length, 1);
  assert.match(entries[0]?.object ?? "", /^\d+ events of \d+$/);
  socket.disconnect();
  await server.stop();
});

/** Has somebody say, unrecorded, what looks like an offset far behind what was said; whoever hears it last would send it back. */
async function forge(server: Running, room: string, offset: string): Promise<void> {
  const eve = io(server.http, { transports: ["websocket"], auth: { token: mint({ sub: unique("eve") }) } });
  await connected(eve);
  const data = `${offset.split(".")[0] ?? ""}.ffffff.ffffff`;
  const said = (await eve.emitWithAck("publish", { room, event: "lie", data, volatile: true })) as {
    ok: boolean;
  };
  assert.equal(said.ok, true);
  eve.disconnect();
}

test("what somebody else says moves no client's place", async () => {
  let server = await startAgain();
  const room = `notes:${unique("r")}`;
  const socket = io(server.http, {
    transports: ["websocket"],
    auth: { token: mint({ sub: unique("user") }) },
  });
  const { heard, until } = listening(socket);
  await connected(socket);
  await socket.emitWithAck("subscribe", { room });
  const offsets: string[] = [];
  socket.on("said", (_number: number, offset: string) => offsets.push(offset));
  await publish(server, room, 1);
  await until(1);

  let lied = new Promise<string>((resolve) => socket.once("lie", resolve));
  await forge(server, room, offsets[0] ?? "");
  await within(lied, "the lie", 20_000);
  // The transport breaks and comes back; what was said meanwhile follows.
  await loses(socket, () => socket.io.engine.close());
  for (const number of [2, 3]) await publish(server, room, number);
  await comesBack(socket);
  assert.equal(socket.recovered, true);
  await until(3);

  lied = new Promise<string>((resolve) => socket.once("lie", resolve));
  await forge(server, room, offsets[0] ?? "");
  await within(lied, "the lie", 20_000);
  await loses(socket, () => server.kill());
  server = await startAgain();
  for (const number of [4, 5]) await publish(server, room, number);
  await comesBack(socket);
  assert.equal(socket.recovered, true, "after a kill");
  await until(5);
  assert.deepEqual(heard, [1, 2, 3, 4, 5]);
  socket.disconnect();
  await server.stop();
});

test("without stored sessions a client begins afresh after a kill", async () => {
  let server = await startAgain(false);
  const socket = io(server.http, {
    transports: ["websocket"],
    auth: { token: mint({ sub: unique("user") }) },
  });
  await connected(socket);
  const room = `notes:${unique("r")}`;
  await socket.emitWithAck("subscribe", { room });
  const { until } = listening(socket);
  await publish(server, room, 1);
  await until(1);
  await loses(socket, () => server.kill());
  server = await startAgain(false);
  await comesBack(socket);
  assert.equal(socket.recovered, false);
  socket.disconnect();
  const { status } = await ask(`${server.http}/readyz`);
  assert.equal(status, 200);
  await server.stop();
});
