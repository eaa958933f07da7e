import { afterEach, expect, test, vi } from "vitest";
import { Client, kept } from "@tidings/client";
import { mint, served } from "../../../testing/server.ts";
import { Studio } from "../../../testing/studio.ts";
import { until } from "../../../testing/until.ts";

const server = served(["--no-limits"]);
const clients: Client[] = [];
afterEach(() => {
  clients.splice(0).forEach((client) => client.disconnect());
  vi.restoreAllMocks();
});

interface Game {
  status: string;
  currentRound: number;
}

/** Reads of one answer are so far apart at least, as the client promises. */
const PAUSE_MS = 150;

/** A match, somebody who watches it, and how often it was read. */
async function watched() {
  const studio = new Studio(server);
  const [a = "", b = ""] = await studio.people(2);
  const id = await studio.begin(a, b);
  const client = new Client({ url: server.http, token: mint({ sub: a }) });
  clients.push(client);
  client.connect();
  const path = `/api/arena/matches/${id}`;
  const asked = vi.spyOn(client, "request");
  const reads = () => asked.mock.calls.filter(([url]) => url === path).length;
  const round = (currentRound: number) => studio.post(`/matches/${id}/score`, { currentRound });
  return { studio, client, id, reads, round, game: kept<Game>(client, path, { room: `match:${id}` }) };
}

test("an answer is read once while nothing happens, and dropped by an event of its room", async () => {
  const { client, id, reads, round, game } = await watched();
  game.enter();
  await until(() => expect(game.state.fresh).toBe(true));
  const before = reads();
  for (let n = 0; n < 20; n += 1) expect((await game.get()).status).toBe("started");
  expect(reads()).toBe(before);
  // Another part of the page, and the same answer.
  expect(kept(client, `/api/arena/matches/${id}`, { room: `match:${id}` })).toBe(game);
  await round(3);
  await until(() => expect(game.state).toMatchObject({ data: { currentRound: 3 }, fresh: true }));
  expect(reads()).toBeGreaterThan(before);
});

test("many events at once are one read", async () => {
  const { client, id, reads, game } = await watched();
  game.enter();
  await until(() => expect(game.state.fresh).toBe(true));
  const before = reads();
  const room = client.room(`match:${id}`);
  for (let n = 1; n <= 30; n += 1) room.hear("matchUpdated", {}, { room: room.name, messageId: String(n) });
  expect(game.state.fresh).toBe(false);
  await until(() => expect(game.state.fresh).toBe(true));
  expect(reads() - before).toBe(1);
});

test("events one after the other are no more reads than there is time for, and the last is never missed", async () => {
  const { reads, round, game } = await watched();
  game.enter();
  await until(() => expect(game.state.fresh).toBe(true));
  const [before, began] = [reads(), performance.now()];
  for (let n = 1; n <= 30; n += 1) await round(n);
  await until(() => expect(game.state).toMatchObject({ data: { currentRound: 30 }, fresh: true }));
  expect(reads() - before).toBeLessThanOrEqual((performance.now() - began) / PAUSE_MS + 1);
});

test("an answer that was on its way while something happened is not taken for fresh", async () => {
  const { client, round, game, id } = await watched();
  game.enter();
  await until(() => expect(game.state.fresh).toBe(true));
  // The next answer is held back until an event came behind it.
  const real = Client.prototype.request.bind(client);
  let heldBack = 0;
  vi.spyOn(client, "request").mockImplementation(async (path, init) => {
    const answer = await real(path, init);
    if (heldBack++ > 0) return answer;
    const heard = new Promise((resolve) => client.room(`match:${id}`).on("matchUpdated", resolve));
    await round(9);
    await heard;
    return answer;
  });
  game.drop();
  const taken: number[] = [];
  game.watch(() => game.state.fresh && taken.push(game.state.data?.currentRound ?? -1));
  await until(() => expect(heldBack).toBe(2));
  await until(() => expect(game.state).toMatchObject({ data: { currentRound: 9 }, fresh: true }));
  expect(new Set(taken)).toEqual(new Set([9]));
});

test("who asks behind an event is not answered by a read that began before it", async () => {
  const { client, round, game } = await watched();
  const real = Client.prototype.request.bind(client);
  let letGo = () => {};
  const held = new Promise<void>((resolve) => (letGo = resolve));
  const read = vi.fn(() => held);
  vi.spyOn(client, "request").mockImplementationOnce(async (path, init) => {
    const answer = await real(path, init);
    await read();
    return answer;
  });
  const before = game.get();
  await until(() => expect(read).toHaveBeenCalled());
  await round(4);
  game.drop();
  const behind = game.get();
  letGo();
  expect((await before).currentRound).toBe(0);
  expect((await behind).currentRound).toBe(4);
});

test("nothing is fresh while the client is away, and everything is read again when it is back", async () => {
  const { client, game, reads } = await watched();
  game.enter();
  await until(() => expect(game.state.fresh).toBe(true));
  await server.kill();
  await until(() => expect(client.state.status).toBe("reconnecting"));
  expect(game.state).toMatchObject({ data: { status: "started" }, fresh: false });
  const before = reads();
  await server.start();
  await until(() => expect(game.state.fresh).toBe(true));
  expect(reads()).toBeGreaterThan(before);
});

test("who does not look at it is not in its room, and reads each time he asks", async () => {
  const { client, id, reads, game } = await watched();
  await game.get();
  await game.get();
  expect(reads()).toBe(2);
  const leave = game.enter();
  await until(() => expect(game.state.fresh).toBe(true));
  leave();
  await until(() => expect(client.room(`match:${id}`).state.status).toBe("idle"));
  // What was there is shown until it is read again.
  expect(game.state).toMatchObject({ data: { status: "started" }, fresh: false });
});

test("only the events that are named drop it, and a refusal is told", async () => {
  const { client, id, round } = await watched();
  const path = `/api/arena/matches/${id}`;
  const ending = kept<Game>(client, path, { room: `match:${id}`, events: ["matchCompleted"] });
  ending.enter();
  await until(() => expect(ending.state.fresh).toBe(true));
  const heard = new Promise((resolve) => client.room(`match:${id}`).on("matchUpdated", resolve));
  await round(2);
  await heard;
  expect(ending.state).toMatchObject({ data: { currentRound: 0 }, fresh: true });

  const nothing = kept(client, "/api/arena/matches/none", { room: `match:${id}` });
  await expect(nothing.get()).rejects.toMatchObject({ code: "not_found" });
});
