import { useCallback, useEffect, useState } from "react";
import type { TradeStateChanged } from "@tidings/client";
import { useClient } from "@tidings/react";
import { useSession } from "../session.ts";

/**
 * Whether one is in the room of an id that there is now.
 *
 * A room may be removed and made anew under its id. Whoever was in it is out for a moment then, and comes in as if for the
 * first time: what was known, and who was a member, is of another room. `anew` does the same.
 */
export function useRun(roomId: string): { isIn: boolean; anew: () => void } {
  const client = useClient();
  const me = useSession()?.userId;
  const [isIn, comeIn] = useState(false);
  const anew = useCallback(() => comeIn(false), []);
  useEffect(() => {
    if (isIn) return;
    // What was missed may be of another room, so that snapshots are all that counts here.
    for (const name of [`trade:${roomId}`, `trade:${roomId}:${me}`])
      client.room(name).enter({ afresh: true })();
    // Behind the turn in which one is let out: whoever is back in the same one has not been away.
    const later = setTimeout(() => comeIn(true), 0);
    return () => clearTimeout(later);
  }, [client, roomId, me, isIn]);
  useEffect(() => {
    const name = `trade:${roomId}`;
    const ends = [
      client.onNotice("left", (left) => left.room === name && left.reason === "closed" && anew()),
      // It is told in the same room where that was not closed.
      client
        .room(name)
        .on("room:state_changed", ({ oldState }: TradeStateChanged) => oldState === "draft" && anew()),
    ];
    return () => ends.forEach((end) => end());
  }, [client, roomId, anew]);
  return { isIn, anew };
}
