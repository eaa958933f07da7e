import { cleanup, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, test } from "vitest";
import { Client } from "@tidings/client";
import { TidingsProvider, useLeaderboard, useMatch, useWindow } from "@tidings/react";
import { mint, served } from "../../../testing/server.ts";
import { Studio } from "../../../testing/studio.ts";

const server = served(["--no-limits"]);
const clients: Client[] = [];
afterEach(() => {
  cleanup();
  clients.splice(0).forEach((client) => client.disconnect());
});

/** A page of somebody's. */
function pageOf(user: string) {
  const client = new Client({ url: server.http, token: mint({ sub: user }) });
  clients.push(client);
  client.connect();
  return ({ children }: { children: ReactNode }) => (
    <TidingsProvider client={client}>{children}</TidingsProvider>
  );
}

const places = ({ entries }: { entries: { playerId: string; rank: number }[] }) =>
  entries.map(({ playerId, rank }) => `${rank} ${playerId}`);
const expected = (rows: { playerId: string; rank: number }[]) => places({ entries: rows });

test("a page shows the rows around whom its token is of, live, and right after a crash", async () => {
  const studio = new Studio(server);
  const people = await studio.people(9);
  const me = people[4] ?? "";
  const wrapper = pageOf(me);
  const hook = renderHook(
    () => ({
      around: useWindow({ scope: "global" }, { kind: "around", k: 2, everyMs: 250 }),
      country: useWindow({ scope: "country", country: "SE" }, { kind: "top", size: 3, everyMs: 250 }),
    }),
    { wrapper },
  );
  const agree = () =>
    waitFor(() => {
      expect(places(hook.result.current.around)).toEqual(expected(studio.around(me, 2)));
      expect(places(hook.result.current.country)).toEqual(expected(studio.board("SE").slice(0, 3)));
    });
  await agree();
  expect(hook.result.current.around).toMatchObject({ me, live: true, total: 9 });
  for (let n = 0; n < 10; n += 1) await studio.playAtRandom();
  await agree();
  await server.kill();
  await server.start();
  for (let n = 0; n < 5; n += 1) await studio.playAtRandom();
  await agree();
  // Once more with the window there: not only a snapshot was right.
  for (let n = 0; n < 5; n += 1) await studio.playAtRandom();
  await agree();
}, 120_000);

test("a part that comes onto the page later shows what the others show", async () => {
  const studio = new Studio(server);
  const [a = "", b = ""] = await studio.people(2);
  const wrapper = pageOf(a);
  const board = { scope: "global" } as const;
  const use = () => useLeaderboard(board);
  const first = renderHook(use, { wrapper });
  const order = (hook: typeof first) =>
    hook.result.current.entries.map(({ playerId }) => playerId).filter((id) => id === a || id === b);
  await waitFor(() => expect(order(first)).toEqual([a, b]));
  await studio.play(b, a);
  await waitFor(() => expect(order(first)).toEqual([b, a]));
  // Its snapshot would be the one from before the result.
  const second = renderHook(use, { wrapper });
  expect(order(second)).toEqual([b, a]);

  const id = await studio.begin(a, b);
  const match = renderHook(() => useMatch(id), { wrapper });
  await waitFor(() => expect(match.result.current.match?.status).toBe("started"));
  await studio.post(`/matches/${id}/score`, { scores: [{ playerId: a, score: 7 }] });
  const scored = (hook: typeof match) =>
    hook.result.current.match?.players.find((player) => player.id === a)?.score;
  await waitFor(() => expect(scored(match)).toBe(7));
  expect(scored(renderHook(() => useMatch(id), { wrapper }))).toBe(7);
});
