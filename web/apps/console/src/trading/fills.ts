import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useReducer } from "react";
import type { OrderExecuted } from "@tidings/client";
import { useClient } from "@tidings/react";
import { useRead } from "../api.ts";
import { useSession } from "../session.ts";

/** Fills that are remembered of those that are heard. */
const HEARD = 50;

interface Past {
  events: { messageId: string; event: string; data: unknown; at: string }[];
}

export interface Fill extends OrderExecuted {
  messageId: string;
}

/** What was filled for whoever looks in a room that was made at a time, the newest first, also before the page was opened. */
export function useFills(roomId: string, madeAt: string): Fill[] {
  const client = useClient();
  const queries = useQueryClient();
  const name = `trade:${roomId}:${useSession()?.userId}`;
  const path = `/api/rooms/${encodeURIComponent(name)}/history?limit=1000`;
  const past = useRead<Past>(path);
  const [heard, hear] = useReducer((before: Fill[], fill: Fill) => [fill, ...before].slice(0, HEARD), []);
  useEffect(() => {
    const room = client.room(name);
    const ends = [
      room.on("order:executed", (data: OrderExecuted, { messageId }) => hear({ ...data, messageId })),
      // Who was away comes back with a snapshot, and has not heard what was filled meanwhile.
      room.onNotice("snapshot", () => void queries.invalidateQueries({ queryKey: [path] })),
    ];
    return () => ends.forEach((end) => end());
  }, [client, queries, name, path]);
  return useMemo(() => allOf(heard, past.data, madeAt), [heard, past.data, madeAt]);
}

/** What was heard and what was read, each fill once; the log may still have those of a room that had the same id before. */
export function allOf(heard: Fill[], past: Past | undefined, madeAt: string): Fill[] {
  const began = Date.parse(madeAt);
  const read = (past?.events ?? [])
    .filter(({ event, at }) => event === "order:executed" && Date.parse(at) >= began)
    .map(({ data, messageId }) => ({ ...(data as OrderExecuted), messageId }))
    .reverse();
  const known = new Set(read.map(({ messageId }) => messageId));
  return [...heard.filter(({ messageId }) => !known.has(messageId)), ...read];
}
