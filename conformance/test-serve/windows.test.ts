import assert from "node:assert/strict";
import { after, test } from "node:test";
import { io, type Socket } from "socket.io-client";
import { mint, served, unique } from "../lib/serve.ts";
import { pause, until, within } from "../lib/wait.ts";

/** Windows of a leaderboard through the official client, which knows of windows only what is documented (row A7). */
const server = served();
const open: Socket[] = [];
after(() => open.forEach((socket) => socket.disconnect()));

type Entry = { playerId: string; eloRating: number; rank: number };
type Update = {
  window: string;
  enter: Entry[];
  leave: string[];
  move: { playerId: string; to: number; eloRating: number }[];
};
type Answer = { ok: boolean; room: string; snapshot: { entries: Entry[] }; events?: { data: Update }[] };
type List = Map<string, [rank: number, rating: number]>;

const connected = (socket: Socket) =>
  within(new Promise<void>((resolve) => socket.once("connect", resolve)), "a connection", 20_000);

const past = ({ events }: Answer): Update[] => {
  assert.ok(events, "a history");
  return events.map((event) => event.data);
};

async function enter(sub: string, namespace = "/leaderboard"): Promise<Socket> {
  const options = { forceNew: true, reconnection: false, auth: { token: mint({ sub }) } };
  const socket = io(server().http + namespace, options);
  open.push(socket);
  await connected(socket);
  return socket;
}

const ask = async (socket: Socket, name: string, data: object) =>
  (await socket.timeout(20_000).emitWithAck(name, data)) as Answer;

async function rest(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const token = mint({ sub: "studio", scope: "publish" });
  const response = await fetch(`${server().http}/api/arena${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = (await response.json()) as Record<string, unknown>;
  assert.ok(response.ok, `${method} ${path}: ${JSON.stringify(answer)}`);
  return answer;
}

async function play(winner: string, loser: string): Promise<void> {
  const id = unique("m");
  await rest("POST", "/matches", { id, players: [winner, loser] });
  await rest("POST", `/matches/${id}/start`);
  await rest("POST", `/matches/${id}/result`, { winnerId: winner, resultType: "win" });
}

const listed = (entries: Entry[]): List =>
  new Map(entries.map(({ playerId, rank, eloRating }) => [playerId, [rank, eloRating]]));

const board = async (): Promise<List> => {
  const { entries } = (await rest("GET", "/leaderboards/global")) as { entries: Entry[] };
  return listed(entries.filter(({ rank }) => rank <= 3));
};

const sorted = (list: List) => [...list].sort((one, other) => one[1][0] - other[1][0]);

let people: Promise<void> | undefined;

/** Players on the board, once. */
const populated = () =>
  (people ??= (async () => {
    for (const id of ["ada", "bob", "cleo", "dan", "eve"])
      await rest("POST", "/players", { id, displayName: id });
  })());

/** A window as documentation says to keep it: a list, and each message applied to it. */
async function looking(
  socket: Socket,
  everyMs: number,
): Promise<{ room: string; list: List; is: (board: List) => Promise<void> }> {
  const window = { kind: "top", size: 3, everyMs };
  const { room, snapshot } = await ask(socket, "subscribe", { scope: "global", window });
  const list = listed(snapshot.entries);
  let heard = () => {};
  socket.on("windowUpdate", ({ enter, leave, move }: Update) => {
    leave.forEach((id) => list.delete(id));
    enter.forEach((one) => list.set(one.playerId, [one.rank, one.eloRating]));
    move.forEach((one) => list.set(one.playerId, [one.to, one.eloRating]));
    heard();
  });
  const is = async (expected: List) => {
    const same = () => JSON.stringify(sorted(list)) === JSON.stringify(sorted(expected));
    const reached = new Promise<void>((resolve) => {
      heard = () => {
        if (same()) resolve();
      };
      heard();
    });
    const shows = () => JSON.stringify(sorted(list));
    await within(reached, "the board", 20_000).catch((late: unknown) => {
      throw new Error(`${String(late)}: ${shows()} is not ${JSON.stringify(sorted(expected))}`);
    });
  };
  return { room, list, is };
}

/** Waits until a room was told that its window is over; answers what it was told. */
async function ended(socket: Socket, room: string): Promise<Update[]> {
  const look = async () => {
    const said = past(await ask(socket, "history", { room, limit: 1_000 }));
    const last = said.at(-1);
    if (last?.leave.length === 3 && last.enter.length === 0) return said;
    // A user may ask so often.
    await pause(1_000);
    return undefined;
  };
  return until(look, `the end of ${room}`, 60_000);
}

// A window is its pace as well, so each has one of its own.
for (const [when, everyMs] of [
  ["before anything has changed", 250],
  ["after a change", 1_000],
] as const)
  test(`who takes up its session in a window that has ended ${when} has the right list without a line for it`, async () => {
    const other = await enter(unique("other"), "/");
    const socket = await enter(unique("viewer"));
    await populated();
    const { room, list, is } = await looking(socket, everyMs);
    if (when === "after a change") {
      await play("dan", "ada");
      await is(await board());
    }

    let gaps = 0;
    socket.on("tidings:gap", () => (gaps += 1));
    const id = socket.id;
    const gone = new Promise((resolve) => socket.once("disconnect", resolve));
    socket.io.engine.close();
    await within(gone, "the end of the connection");
    await ended(other, room);
    await play("eve", "dan");
    await play("eve", "cleo");
    assert.notDeepEqual(sorted(list), sorted(await board()), "it changed while nobody looked");

    socket.connect();
    await connected(socket);
    assert.deepEqual([socket.recovered, socket.id], [true, id]);
    await is(await board());
    await play("bob", "eve");
    await is(await board());
    assert.equal(gaps, 0);
  });

test("who is away for less is told nothing but the changes", async () => {
  const other = await enter(unique("other"), "/");
  const socket = await enter(unique("viewer"));
  await populated();
  const { room, is } = await looking(socket, 250);
  const history = async () => past(await ask(other, "history", { room, limit: 1_000 }));
  const before = (await history()).length;
  const gone = new Promise((resolve) => socket.once("disconnect", resolve));
  socket.io.engine.close();
  await within(gone, "the end of the connection");
  await play("cleo", "bob");
  socket.connect();
  await connected(socket);
  assert.equal(socket.recovered, true);
  await is(await board());
  const since = (await history()).slice(before);
  assert.ok(since.length > 0);
  assert.ok(
    since.every(({ leave, enter }) => leave.length < 3 && enter.length < 3),
    "the window has neither ended nor begun",
  );
});
