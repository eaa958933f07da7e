import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useReducer } from "react";
import type { TradeRoomView } from "@tidings/client";
import type { Tick } from "@tidings/client/trading";
import { useClient } from "@tidings/react";

/** Of a symbol some hundred changes are remembered here, four a second at most: read so often, none is forgotten before. */
const EVERY_MS = 60_000;

/**
 * How a price went: what the server has of it, and behind that what was heard.
 *
 * It is read once one hears of changes, so that none comes in between, and again after every break: prices are not kept for
 * who is away.
 */
export function useTrail(room: TradeRoomView, symbol: string, live: boolean, heard: Tick[] = NONE): Tick[] {
  const client = useClient();
  const [visit, again] = useReducer((visits: number) => visits + 1, 0);
  useEffect(() => {
    if (live) again();
  }, [live]);
  useEffect(() => client.room(`trade:${room.id}`).onNotice("gap", again), [client, room.id]);
  const path = `/api/trading/rooms/${encodeURIComponent(room.id)}/prices?symbol=${encodeURIComponent(symbol)}`;
  const key = `${path} ${room.createdAt}`;
  const { data: past = NONE } = useQuery({
    queryKey: [key, visit],
    queryFn: async ({ signal }) => {
      const { prices } = (await client.request(path, { signal })) as {
        prices: { at: string; price: string }[];
      };
      return prices.map(({ at, price }): Tick => ({ at: Date.parse(at), price }));
    },
    enabled: visit > 0,
    placeholderData: (before, query) => (query?.queryKey[0] === key ? before : undefined),
    refetchInterval: EVERY_MS,
    // Nothing is read while nobody looks, and changes are heard all the same.
    refetchOnWindowFocus: "always",
  });
  return useMemo(() => joined(past, heard), [past, heard]);
}

const NONE: Tick[] = [];

/** What was heard behind what was read: of the moment at which that ends both may tell. */
export function joined(past: Tick[], heard: Tick[]): Tick[] {
  const last = past.at(-1);
  if (!last) return heard;
  const known = heard.findLastIndex(
    ({ at, price }) => at < last.at || (at === last.at && price === last.price),
  );
  const later = heard.slice(known + 1);
  // A change is told up to a quarter of a second behind it, with the time of the room by then.
  return [...past, ...(later[0]?.price === last.price ? later.slice(1) : later)];
}
