import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { io } from "socket.io-client";
import { build } from "vite";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { runScript } from "../../../../conformance/lib/python.ts";
import { Exchange } from "../../../testing/exchange.ts";
import { mint, served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";
import { openBrowser } from "./browsers.ts";

/** An event as it was heard: in which room, what, with what, and at which place if it is kept. */
type Heard = [room: string, event: string, data: unknown, offset: number | null];

// It has to listen before the server starts, which is told of its origin.
const pages = await servePage();
const PAGE = `http://localhost:${(pages.address() as AddressInfo).port}`;
const server = served(["--no-limits", "--allow-origin", PAGE]);
let browser: Browser;

beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(async () => {
  pages.close();
  pages.closeAllConnections();
  await browser.close();
});

/** Serves a page that follows a room, built from the sources of the client. */
async function servePage(): Promise<Server> {
  const input = new URL("follows.ts", import.meta.url).pathname;
  const result = await build({
    configFile: false,
    logLevel: "silent",
    resolve: { conditions: ["tidings-source", "module", "browser", "development|production"] },
    build: { write: false, modulePreload: false, rollupOptions: { input } },
  });
  const [{ output }] = (Array.isArray(result) ? result : [result]) as [{ output: { code?: string }[] }];
  const script = output[0]?.code ?? "";
  const page = createServer((request, response) => {
    const isScript = request.url === "/follows.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(
      isScript ? script : `<!doctype html><title>x</title><script type=module src=/follows.js></script>`,
    );
  });
  return new Promise((listening) => page.listen(0, "localhost", () => listening(page)));
}

interface Follower {
  heard: () => Promise<Heard[]>;
}

interface Where {
  exchange: Exchange;
  user: string;
  end: string;
}

/** The client of this repository, in a real browser. */
async function inBrowser({ exchange, user, end }: Where): Promise<Follower> {
  const page = await browser.newPage();
  const token = mint({ sub: user });
  const told = new URLSearchParams({ server: server.http, token, room: exchange.id, user, end });
  await page.goto(`${PAGE}/#${told}`);
  const heard = async () => {
    const look = () =>
      page.evaluate(() => (window as unknown as { page: { heard: Heard[]; over: boolean } }).page);
    await until(async () => expect((await look()).over).toBe(true), 60_000);
    return (await look()).heard;
  };
  return { heard };
}

/** A plain WebSocket, in Python, without anything that knows of this server. */
function inPython({ exchange, user, end }: Where): Follower {
  const door = `${server.http.replace("http", "ws")}/ws`;
  const done = runScript("trading_client.py", [door, mint({ sub: user }), exchange.id, user, end]);
  return { heard: () => done as Promise<Heard[]> };
}

/** The official client on `/trading`, which gets both rooms by one command of the app. */
async function onNamespace({ exchange, user, end }: Where): Promise<Follower> {
  const auth = { token: mint({ sub: user }), positions: true };
  const socket = io(`${server.http}/trading`, { auth, forceNew: true });
  const events: Heard[] = [];
  socket.onAny((event: string, data: unknown, place?: { room?: string; offset?: number }) => {
    if (place?.room !== undefined) events.push([place.room, event, data, place.offset ?? null]);
  });
  const told = (await socket.timeout(20_000).emitWithAck("subscribe", { roomId: exchange.id })) as object;
  expect(told).toMatchObject({ ok: true, rooms: [`trade:${exchange.id}`, `trade:${exchange.id}:${user}`] });
  // The end is said on the same connection.
  const root = socket.io.socket("/", { auth });
  const over = new Promise<void>((resolve) => root.once("end", () => resolve()));
  expect(await root.timeout(20_000).emitWithAck("subscribe", { room: end })).toMatchObject({ ok: true });
  const heard = async () => {
    await over;
    socket.io.engine.close();
    return events;
  };
  return { heard };
}

const members = async (room: string): Promise<number> => {
  const token = mint({ sub: unique("looks"), scope: "admin publish" });
  const answer = await fetch(`${server.http}/api/rooms/${room}/stats`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return ((await answer.json()) as { connections: number }).connections;
};

test("a browser, Python with a plain WebSocket and the official client on /trading see the same sequence", async () => {
  const [user, rival] = [unique("ada"), unique("bob")];
  const exchange = new Exchange(server);
  await exchange.open([user, rival], { lateJoin: true });
  const where = { exchange, user, end: `lobby:${unique("end")}` };
  const followers = [await inBrowser(where), inPython(where), await onNamespace(where)];
  const rooms = [where.end, `trade:${exchange.id}`, `trade:${exchange.id}:${user}`];
  await vi.waitFor(async () => expect(await Promise.all(rooms.map(members))).toEqual([3, 3, 3]), {
    timeout: 60_000,
    interval: 100,
  });

  await trade(exchange, user, rival);
  await server.publish(where.end, "end", {});
  const [first = [], ...others] = await Promise.all(followers.map(({ heard }) => heard()));
  const kept = (heard: Heard[]) => heard.filter(([, , , offset]) => offset !== null);
  for (const other of others) {
    expect(kept(other)).toEqual(kept(first));
    expect(other.filter(([, event]) => event === "market:price")).toEqual(
      first.filter(([, event]) => event === "market:price"),
    );
  }
  // What was compared is all there is to hear, each room without a hole.
  const names = [...new Set(first.map(([, event]) => event))].sort();
  expect(names).toEqual([...EVENTS].sort());
  for (const name of rooms.slice(1)) {
    const offsets = kept(first).flatMap(([room, , , offset]) => (room === name ? [offset ?? 0] : []));
    expect(offsets).toEqual(offsets.map((_, index) => (offsets[0] ?? 0) + index));
    expect(offsets.length).toBeGreaterThan(10);
  }
}, 120_000);

/** Every event of trading: the fourteen of its contract, and the three beside them. */
const EVENTS = [
  ...["executed", "failed", "cancelled", "placed"].map((name) => `order:${name}`),
  ...["updated", "ranking_changed", "snapshot_created"].map((name) => `leaderboard:${name}`),
  ...["updated", "closed"].map((name) => `position:${name}`),
  ...["state_changed", "started", "ended", "member_joined", "member_left"].map((name) => `room:${name}`),
  "portfolio:updated",
  "account:digest",
  "market:price",
];

/** Has everything happen in a room that can be heard of. */
async function trade(exchange: Exchange, user: string, rival: string): Promise<void> {
  const order = (whose: string, side: string, quantity: string, more: object = {}) =>
    server.post(
      `/api/trading/rooms/${exchange.id}/orders`,
      { clientOrderId: unique("o"), symbol: "ACME", side, type: "market", quantity, ...more },
      mint({ sub: whose }),
    ) as Promise<{ orderId: string }>;
  await exchange.post("start");
  await exchange.price("ACME", 10);
  await exchange.post("join", { userId: "late" });
  for (let n = 0; n < 6; n += 1) {
    await order(user, "buy", "5");
    await exchange.price("ACME", 10 + n);
  }
  const { orderId } = await order(user, "buy", "3", { type: "limit", price: "1" });
  await fetch(`${server.http}/api/trading/rooms/${exchange.id}/orders/${orderId}`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${mint({ sub: user })}` },
  });
  await expect(order(user, "sell", "900")).rejects.toThrow(/insufficient_position/);
  await order(user, "sell", "30");
  await order(rival, "buy", "1000");
  // A change of places is told once a second at most, and only against what was told before.
  await exchange.price("ACME", 40);
  await told(exchange, (standings) => standings[0] === rival);
  await exchange.price("ACME", 1);
  await told(exchange, (standings) => standings[0] === user);
  await exchange.post("leave", { userId: "late" });
  await exchange.post("snapshots");
  await exchange.post("end");
}

/** Waits until the room was told standings that are so. */
async function told(exchange: Exchange, isSo: (standings: string[]) => boolean): Promise<void> {
  const headers = { authorization: `Bearer ${mint({ sub: unique("looks"), scope: "publish" })}` };
  const look = async () => {
    const path = `/api/rooms/trade:${exchange.id}/history?limit=1000`;
    const { events } = (await (await fetch(server.http + path, { headers })).json()) as {
      events: { event: string; data: { entries: { userId: string }[] } }[];
    };
    const newest = events.findLast(({ event }) => event === "leaderboard:updated");
    expect(isSo(newest?.data.entries.map(({ userId }) => userId) ?? [])).toBe(true);
  };
  await until(look);
}
