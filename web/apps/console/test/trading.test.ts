import { describe, expect, test } from "vitest";
import type { AccountView, OrderExecuted, TradeRoomView } from "@tidings/client";
import { ACCOUNT, MARKET, type Market, type Own } from "@tidings/client/trading";
import { allOf } from "../src/trading/fills.ts";
import { joined } from "../src/trading/trail.ts";

const room = (createdAt: string, state = "running") =>
  ({ createdAt, state, prices: [], standings: [{}], members: 17, rules: {} }) as unknown as TradeRoomView;
const told = (snapshot: { room?: TradeRoomView; account?: unknown }) => snapshot;
const tell = <State>(rules: { events: Record<string, unknown> }, before: State, name: string, data: object) =>
  (rules.events[name] as (before: State, data: object) => State)(before, data);

describe("a room that is made anew under its id", () => {
  const known = (): Market =>
    tell(MARKET, MARKET.snapshot(told({ room: room("first") }), MARKET.empty), "market:price", {
      symbol: "ACME",
      price: "10",
      at: "2026-01-01T00:00:00Z",
    });

  test("has none of the prices of the one before, which a snapshot of the same room leaves", () => {
    expect(MARKET.snapshot(told({ room: room("first") }), known()).ticks).toHaveProperty("ACME");
    expect(MARKET.snapshot(told({ room: room("second") }), known()).ticks).toEqual({});
  });

  test("begins with nobody when it is opened where the old one was not closed", () => {
    const opened = tell(MARKET, known(), "room:state_changed", { oldState: "draft", newState: "open" });
    expect(opened.ticks).toEqual({});
    expect(opened.room).toMatchObject({ state: "open", members: 0, standings: [], prices: [] });
    const joined = tell(MARKET, opened, "room:member_joined", { userId: "ada" });
    expect(joined.room?.members).toBe(1);
  });

  test("has none of the fills and failures of the one before", () => {
    const account = (journal: number) =>
      ({ userId: "ada", journal, openOrders: [] }) as unknown as AccountView;
    const filled = (journal: number): Own =>
      tell(ACCOUNT, ACCOUNT.snapshot(told({ account: account(journal) }), ACCOUNT.empty), "order:executed", {
        orderId: "o1",
        remaining: "0",
      });
    expect(ACCOUNT.snapshot(told({ account: account(7) }), filled(5)).fills).toHaveLength(1);
    expect(ACCOUNT.snapshot(told({ account: account(3) }), filled(5))).toMatchObject({
      fills: [],
      failures: [],
    });
  });
});

test("fills that were heard and read are there once, the newest first, those of a room before not at all", () => {
  const fill = (orderId: string) => ({ orderId }) as OrderExecuted;
  const event = (orderId: string, at: string, event = "order:executed") => ({
    messageId: `m-${orderId}`,
    event,
    data: fill(orderId),
    at,
  });
  const past = {
    events: [
      event("old", "2026-01-01T00:00:00Z"),
      event("o1", "2026-01-01T00:00:02Z"),
      event("other", "2026-01-01T00:00:02Z", "position:updated"),
      event("o2", "2026-01-01T00:00:03Z"),
    ],
  };
  const heard = ["o3", "o2"].map((id) => ({ ...fill(id), messageId: `m-${id}` }));
  const all = allOf(heard, past, "2026-01-01T00:00:01Z");
  expect(all.map(({ orderId }) => orderId)).toEqual(["o3", "o2", "o1"]);
});

describe("how a price went", () => {
  const tick = (at: number, price: string) => ({ at, price });
  const past = [tick(1, "10"), tick(5, "11")];

  test("is what was read, and behind that what was heard, each once", () => {
    const heard = [tick(1, "10"), tick(4, "10.5"), tick(5, "11"), tick(7, "12"), tick(9, "11")];
    expect(joined(past, heard)).toEqual([...past, tick(7, "12"), tick(9, "11")]);
    expect(joined(past, [tick(5, "11")])).toEqual(past);
    expect(joined(past, [])).toEqual(past);
  });

  test("has what came in the moment in which it was read, and what is told late once", () => {
    expect(joined(past, [tick(5, "11"), tick(5, "12")])).toEqual([...past, tick(5, "12")]);
    expect(joined(past, [tick(6, "11"), tick(8, "12")])).toEqual([...past, tick(8, "12")]);
  });

  test("is what was heard as long as nothing was read", () => {
    expect(joined([], past)).toEqual(past);
  });
});
