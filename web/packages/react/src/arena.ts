import { useCallback, useEffect, useState } from "react";
import {
  BOARD,
  PART,
  roomOfBoard,
  roomOfPart,
  type Board,
  type BoardPart,
  type EventName,
  type Rules,
} from "@tidings/client";
import { useClient } from "./provider.tsx";
import { useFollowed, useRoom } from "./room.ts";

/** Somebody who plays in a match. */
export interface MatchPlayer {
  id: string;
  displayName: string;
  eloRating: number;
  score?: number | null;
  ready?: boolean;
}

/** How a match ended. */
export interface MatchResult {
  winnerId?: string | null;
  loserIds: string[];
  resultType: string;
  eloChanges: { playerId: string; change: number }[];
}

/** A match as it stands. */
export interface Match {
  id: string;
  status: string;
  players: MatchPlayer[];
  format?: string | null;
  sessionId?: string | null;
  currentRound?: number | null;
  startTime?: string | null;
  endedAt?: string | null;
  result?: MatchResult | null;
  voidReason?: string | null;
}

/** Something a player did. */
export interface PlayerAction {
  playerId: string;
  action: string;
  timestamp: string;
}

/** A leaderboard, live: its entries, and what moved with the newest update. */
export function useLeaderboard(board: Board) {
  const { room, status, live, error, gap } = useRoom(roomOfBoard(board));
  return { ...useFollowed(room, BOARD), status, live, error, gap };
}

/** A part of a board as a page wishes for it: of the player the client's token is of, if none is named. */
export type WindowWanted = { everyMs?: BoardPart["everyMs"] } & (
  | { kind: "top"; size: number }
  | { kind: "around"; player?: string; k: number }
  | { kind: "friends"; player?: string }
);

/**
 * A part of a leaderboard, live: the first, the rows around somebody, or somebody and his friends.
 *
 * `me` is the player it is about. The rows are right again after every break, however long.
 */
export function useWindow(board: Board, wanted: WindowWanted) {
  const myself = useUserId();
  const me = wanted.kind === "top" ? undefined : (wanted.player ?? myself);
  const known = wanted.kind === "top" || me !== undefined;
  const name = known ? roomOfPart(board, { ...wanted, player: me } as BoardPart) : undefined;
  const { room, status, live, error, gap } = useRoom(name, { afresh: true });
  return { ...useFollowed(room, PART), me, status, live, error, gap };
}

/** The user's id, as the client's token says it; none until that is known. */
export function useUserId(): string | undefined {
  const client = useClient();
  const [id, know] = useState<string>();
  useEffect(() => {
    let wanted = true;
    client.userId().then(
      (userId) => wanted && know(userId),
      // Without a token there is no connection either, which says why.
      () => {},
    );
    return () => void (wanted = false);
  }, [client]);
  return id;
}

/** What a match says, and what came of it. */
export type MatchEvent =
  | { name: "snapshot"; data: Match }
  | { name: "matchStarted"; data: { players: MatchPlayer[]; format?: string; startTime?: string } }
  | {
      name: "matchUpdated";
      data: {
        update: { scores?: { playerId: string; score: number }[]; status?: string; currentRound?: number };
      };
    }
  | { name: "matchCompleted"; data: { result: MatchResult } };

/** The match after an event: a pure function, and the same event twice is as good as once. */
export function matchAfter(match: Match | undefined, event: MatchEvent): Match | undefined {
  if (event.name === "snapshot") return event.data;
  if (!match) return undefined;
  switch (event.name) {
    case "matchStarted":
      return {
        ...match,
        ...event.data,
        id: match.id,
        players: merged(match.players, event.data.players),
        status: "started",
      };
    case "matchUpdated": {
      const { scores, ...rest } = event.data.update;
      const scored = new Map(scores?.map(({ playerId, score }) => [playerId, score]));
      const players = match.players.map((player) => ({
        ...player,
        score: scored.get(player.id) ?? player.score ?? null,
      }));
      return { ...match, ...rest, players };
    }
    case "matchCompleted":
      return { ...match, status: "completed", result: event.data.result };
  }
}

const merged = (before: MatchPlayer[], now: MatchPlayer[]) =>
  now.map((player) => ({ ...before.find(({ id }) => id === player.id), ...player }));

/** Actions that are shown, at most. */
const ACTIONS = 50;

interface Watched {
  match: Match | undefined;
  actions: PlayerAction[];
}

const after =
  (name: MatchEvent["name"]) =>
  (before: Watched, data: unknown): Watched => ({
    ...before,
    match: matchAfter(before.match, { name, data } as MatchEvent),
  });

const MATCH: Rules<Watched> = {
  empty: { match: undefined, actions: [] },
  snapshot: (told, before) => after("snapshot")(before, told),
  events: {
    ...Object.fromEntries(
      (["matchStarted", "matchUpdated", "matchCompleted"] as const satisfies EventName[]).map((name) => [
        name,
        after(name),
      ]),
    ),
    playerAction: (before, action: PlayerAction) => ({
      ...before,
      actions: [action, ...before.actions].slice(0, ACTIONS),
    }),
  },
};

/** A match, live, with the newest actions of its players; `act` is for these alone. */
export function useMatch(matchId: string | undefined) {
  const client = useClient();
  const { room, status, live, error } = useRoom(matchId === undefined ? undefined : `match:${matchId}`);
  const watched = useFollowed(room, MATCH);
  const act = useCallback(
    (action: string, data?: unknown) =>
      client.command("/matches", "matchAction" as string, {
        matchId,
        action,
        ...(data === undefined ? {} : { data }),
      }),
    [client, matchId],
  );
  return { ...watched, status, live, error, act };
}
