import { afterEach, describe, expect, test, vi } from "vitest";
import {
  Client,
  followed,
  LeaderboardWindow,
  windowAfter,
  type Board,
  type BoardPart,
  type Rules,
} from "@tidings/client";
import { mint, served } from "../../../testing/server.ts";
import { Studio } from "../../../testing/studio.ts";
import { until } from "../../../testing/until.ts";

const server = served(["--no-limits"]);
const clients: Client[] = [];
const open = (user: string) => {
  const client = new Client({ url: server.http, token: mint({ sub: user }) });
  clients.push(client);
  client.connect();
  return client;
};
afterEach(() => clients.splice(0).forEach((client) => client.disconnect()));

const rows = (window: LeaderboardWindow) =>
  window.state.entries.map(({ playerId, rank, eloRating }) => ({ playerId, rank, eloRating }));
const GLOBAL: Board = { scope: "global" };
const QUICK = { everyMs: 250 } as const;

/** What is said to the server as `subscribe`. */
function subscriptions(client: Client): Record<string, unknown>[] {
  const said: Record<string, unknown>[] = [];
  client.socket?.onAnyOutgoing((name: string, data: Record<string, unknown>) => {
    if (name === "subscribe") said.push(data);
  });
  return said;
}

test("windows show what a plain list shows, over random results and a crash", async () => {
  const studio = new Studio(server);
  const people = await studio.people(14);
  const me = people[7] ?? "";
  await studio.befriend(me, people[2] ?? "");
  await studio.befriend(me, people[11] ?? "");
  const friends = [me, people[2], people[11]];
  const client = open(me);
  const country: Board = { scope: "country", country: "SE" };
  const looks: [Board, BoardPart, () => unknown[]][] = [
    [GLOBAL, { kind: "top", size: 4, ...QUICK }, () => studio.board().slice(0, 4)],
    [GLOBAL, { kind: "around", player: me, k: 2, ...QUICK }, () => studio.around(me, 2)],
    [
      GLOBAL,
      { kind: "friends", player: me, ...QUICK },
      () => studio.board().filter(({ playerId }) => friends.includes(playerId)),
    ],
    [country, { kind: "top", size: 3, ...QUICK }, () => studio.board("SE").slice(0, 3)],
    [country, { kind: "around", player: me, k: 1, ...QUICK }, () => studio.around(me, 1, "SE")],
  ];
  const windows = looks.map(([board, part]) => new LeaderboardWindow(client, board, part));
  windows.forEach((window) => window.enter());
  const agree = () =>
    until(() => expect(windows.map(rows)).toEqual(looks.map(([, , expected]) => expected())));
  await agree();
  for (let round = 0; round < 6; round += 1) {
    for (let n = 0; n < 8; n += 1) await studio.playAtRandom();
    await agree();
  }
  await server.kill();
  await until(() => expect(client.state.status).toBe("reconnecting"));
  await server.start();
  // Nobody tells the client of these: the windows it left are gone with the process.
  for (let n = 0; n < 8; n += 1) await studio.playAtRandom();
  await agree();
  for (let n = 0; n < 4; n += 1) await studio.playAtRandom();
  await agree();
  expect(new Set(windows.map((window) => window.room.state.status))).toEqual(new Set(["live"]));
}, 120_000);

test("a window that was left is whole again when it is entered, whatever happened meanwhile", async () => {
  const studio = new Studio(server);
  const [me = "", ...others] = await studio.people(5);
  const client = open(me);
  const window = new LeaderboardWindow(client, GLOBAL, { kind: "around", player: me, k: 50, ...QUICK });
  const leave = window.enter();
  await until(() => expect(window.room.state.status).toBe("live"));
  const said = subscriptions(client);
  leave();
  await until(() => expect(window.room.state.status).toBe("idle"));
  for (const other of others) await studio.play(me, other);
  window.enter();
  const mine = () => window.state.entries.find(({ playerId }) => playerId === me)?.eloRating;
  await until(() => expect(mine()).toBe(studio.ratingOf(me)));
  // A place to go on from would get what changed in between, and that only as far as somebody else looked.
  expect(said).toEqual([{ room: window.room.name }]);
});

test("a window that ended while the connection was gone is whole again, though the session is taken up", async () => {
  const studio = new Studio(server);
  const [me = "", ...others] = await studio.people(4);
  const [client, other] = [open(me), open("somebody")];
  const window = new LeaderboardWindow(client, GLOBAL, { kind: "top", size: 3, ...QUICK });
  window.enter();
  await until(() => expect(window.room.state.status).toBe("live"));
  const manager = client.socket?.io;
  manager?.reconnection(false);
  manager?.engine.close();
  await until(() => expect(client.state.status).toBe("reconnecting"));
  const history = `/api/rooms/${encodeURIComponent(window.room.name)}/history`;
  const ended = async () => {
    const { events } = (await other.request(history)) as { events: { data: { leave: string[] } }[] };
    expect(events.at(-1)?.data.leave).toHaveLength(3);
  };
  await vi.waitFor(ended, { timeout: 60_000, interval: 250 });
  // More than anybody has, so that the top is another one.
  for (let n = 0; n < 12; n += 1) for (const one of others) await studio.play(one, me);
  manager?.reconnection(true);
  client.socket?.connect();
  // Others are on the board as well.
  const { entries } = (await other.request("/api/arena/leaderboards/global?limit=3")) as {
    entries: { playerId: string; rank: number; eloRating: number }[];
  };
  const top = entries.map(({ playerId, rank, eloRating }) => ({ playerId, rank, eloRating }));
  await until(() => expect(rows(window)).toEqual(top));
  expect(window.room.state.status).toBe("live");
}, 120_000);

test("whose window it is not is refused it, and a player's id can be read from his token", async () => {
  const [me = "", other = ""] = await new Studio(server).people(2);
  const client = open(me);
  expect(await client.userId()).toBe(me);
  const window = new LeaderboardWindow(client, GLOBAL, { kind: "around", player: other, k: 1 });
  window.enter();
  await until(() => expect(window.room.state.status).toBe("refused"));
  expect(window.room.state.error?.code).toBe("not_found");
});

describe("a change of a window", () => {
  const entry = (playerId: string, rank: number) => ({
    playerId,
    displayName: playerId,
    eloRating: 1_200,
    rank,
  });
  const before = { entries: [entry("a", 1), entry("b", 2), entry("c", 3)], diff: [], total: 9 };
  const change = {
    window: "window:global:top:3:1000",
    scope: "global" as const,
    total: 10,
    enter: [entry("d", 1)],
    leave: ["c"],
    move: [
      { playerId: "a", from: 1, to: 2, eloRating: 1_190 },
      { playerId: "b", from: 2, to: 3, eloRating: 1_200 },
    ],
  };

  test("says who stands where, and is harmless twice", () => {
    const once = windowAfter(before, change);
    expect(once.entries.map(({ playerId, rank }) => `${rank}${playerId}`)).toEqual(["1d", "2a", "3b"]);
    expect(once.entries[1]?.eloRating).toBe(1_190);
    expect(once.diff).toEqual([
      { playerId: "d", moved: 0, oldRank: null },
      { playerId: "a", moved: -1, oldRank: 1 },
      { playerId: "b", moved: -1, oldRank: 2 },
    ]);
    expect(once.total).toBe(10);
    expect(windowAfter(once, change).entries).toEqual(once.entries);
    expect(before.entries).toHaveLength(3);
  });

  test("shows somebody by another name and country, and with none again", () => {
    const called = (displayName: string, country: string | null) => ({
      ...change,
      enter: [],
      leave: [],
      move: [{ playerId: "b", from: 2, to: 2, eloRating: 1_200, called: { displayName, country } }],
    });
    const once = windowAfter(before, called("Bob", "US"));
    expect(once.entries[1]).toEqual({ ...entry("b", 2), displayName: "Bob", country: "US" });
    expect(windowAfter(once, called("Bob", "US")).entries).toEqual(once.entries);
    expect(windowAfter(once, called("b", null)).entries[1]?.country).toBeNull();
    // Who is called as before stays as he is shown.
    const moved = {
      ...change,
      enter: [],
      leave: [],
      move: [{ playerId: "b", from: 2, to: 2, eloRating: 9 }],
    };
    expect(windowAfter(once, moved).entries[1]?.displayName).toBe("Bob");
  });

  test("of somebody who has left since makes nobody up", () => {
    const gone = { ...change, enter: [], leave: [], move: [{ playerId: "x", from: 1, to: 2, eloRating: 1 }] };
    expect(windowAfter(before, gone).entries).toEqual(before.entries);
  });
});

describe("a value that follows a room", () => {
  /** A match's events, counted: a room that is joined with a snapshot. */
  const COUNT: Rules<{ snapshots: number; updates: number }> = {
    empty: { snapshots: 0, updates: 0 },
    snapshot: (_, before) => ({ ...before, snapshots: before.snapshots + 1 }),
    events: { matchUpdated: (before) => ({ ...before, updates: before.updates + 1 }) },
  };

  test("is one for all, and who comes later asks for the snapshot once more", async () => {
    const studio = new Studio(server);
    const [a = "", b = ""] = await studio.people(2);
    const id = await studio.begin(a, b);
    const client = open(a);
    const room = client.room(`match:${id}`);
    room.enter();
    await until(() => expect(room.state.status).toBe("live"));
    const score = (value: number) =>
      studio.post(`/matches/${id}/score`, { scores: [{ playerId: a, score: value }] });
    await score(1);
    const late = followed(room, COUNT);
    // The one there was, and the one that was asked for.
    await until(() => expect(late.state.snapshots).toBe(2));
    expect(JSON.stringify(room.state.snapshot)).toContain('"score":1');
    expect(followed(room, COUNT)).toBe(late);
    await score(2);
    await until(() => expect(late.state.updates).toBeGreaterThan(0));
  });

  test("is asked for anew after a gap that came without one", async () => {
    const studio = new Studio(server);
    const [a = "", b = ""] = await studio.people(2);
    const client = open(a);
    const room = client.room(`match:${await studio.begin(a, b)}`);
    const value = followed(room, COUNT);
    room.enter();
    await until(() => expect(value.state.snapshots).toBe(1));
    const said = subscriptions(client);
    // As the server tells a client that was too slow.
    room.missed({ room: room.name, reason: "overflow" });
    await until(() => expect(value.state.snapshots).toBe(2));
    expect(said).toEqual([{ room: room.name }]);
  });
});
