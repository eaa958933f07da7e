import { useCallback, useEffect, useMemo, useReducer, useSyncExternalStore } from "react";
import { ordersLeft, tradingRoom, type Order } from "@tidings/client/trading";
import { useClient } from "./provider.tsx";

/** How often it is looked how many orders the room takes again, in milliseconds. */
const BUDGET_MS = 250;

const nothing = () => () => {};

/** Is in a room while the component is mounted: several components share one subscription and one state. */
function useTrading(roomId: string | undefined) {
  const client = useClient();
  const trading = useMemo(
    () => (roomId === undefined ? undefined : tradingRoom(client, roomId)),
    [client, roomId],
  );
  const watch = useMemo(
    () => (trading ? (watcher: () => void) => trading.watch(watcher) : nothing),
    [trading],
  );
  const read = () => trading?.state;
  const state = useSyncExternalStore(watch, read, read);
  useEffect(() => trading?.enter(), [trading]);
  return { trading, state };
}

/** What is done with a room as a whole; each rejects with a `Refusal`. */
export type RoomAct = "open" | "join" | "leave" | "start" | "end";

/**
 * A room of trading, live: how it stands, prices, standings.
 *
 * `proof` says whether one's own account is known to be what the server has, and how often it had to be asked for anew. `act` is
 * done by whoever may: members join and leave, its owner opens, starts and ends it.
 */
export function useTradingRoom(roomId: string | undefined) {
  const client = useClient();
  const { state } = useTrading(roomId);
  const act = useCallback(
    (name: RoomAct) =>
      client.request(`/api/trading/rooms/${encodeURIComponent(roomId ?? "")}/${name}`, {
        method: "POST",
        body: "{}",
      }),
    [client, roomId],
  );
  return {
    room: state?.room,
    prices: state?.room?.prices ?? [],
    standings: state?.room?.standings ?? [],
    ticks: state?.ticks ?? {},
    me: state?.me,
    isMember: state?.account !== undefined,
    proof: state?.proof,
    status: state?.status ?? "idle",
    live: state?.status === "live",
    error: state?.error,
    act,
  };
}

/** One's orders in a room: those that wait, what was filled and what could not be done, the newest first. */
export function useOrders(roomId: string | undefined) {
  const { trading, state } = useTrading(roomId);
  const left = state && ordersLeft(state);
  const isSpent = left !== undefined && left < (state?.room?.rules.orderBurst ?? left);
  const [, look] = useReducer((looks: number) => looks + 1, 0);
  useEffect(() => {
    if (!isSpent) return;
    const clock = setInterval(look, BUDGET_MS);
    return () => clearInterval(clock);
  }, [isSpent]);
  const place = useCallback(
    (order: Order) => trading?.place(order) ?? Promise.reject(new Error("there is no room")),
    [trading],
  );
  const cancel = useCallback(
    (orderId: string) => trading?.cancel(orderId) ?? Promise.reject(new Error("there is no room")),
    [trading],
  );
  return {
    open: state?.account?.openOrders ?? [],
    fills: state?.fills ?? [],
    failures: state?.failures ?? [],
    /** How many the room takes now; unknown for who is no member. */
    left: state?.account && left,
    place,
    cancel,
  };
}

/** What one has in a room: cash, what everything is worth, positions; nothing for who is no member. */
export function usePortfolio(roomId: string | undefined) {
  const { state } = useTrading(roomId);
  const { account, proof } = state ?? {};
  return {
    cash: account?.cash,
    equity: account?.equity,
    realisedPnl: account?.realisedPnl,
    unrealisedPnl: account?.unrealisedPnl,
    positions: account?.positions ?? [],
    proof,
  };
}
