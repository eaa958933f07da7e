import { useCallback, useEffect, useReducer } from "react";
import type { Room } from "@tidings/client";
import { useClient } from "./provider.tsx";
import { useRoom } from "./room.ts";

/** Which leaderboard: the global one, a country's or a session's. */
export type Board =
  { scope: "global" } | { scope: "country"; country: string } | { scope: "session"; sessionId: string };

/** A row of a leaderboard. */
export interface BoardEntry {
  playerId: string;
  displayName: string;
  eloRating: number;
  rank: number;
  country?: string | null;
}

/** A position that changed; `moved` counts places up, and `oldRank` is null for who is new in the list. */
export interface BoardMove {
  playerId: string;
  moved: number;
  oldRank: number | null;
}

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

/** The room of a leaderboard. */
export function roomOfBoard(board: Board): string {
  if (board.scope === "country") return `leaderboard:country:${board.country}`;
  if (board.scope === "session") return `leaderboard:session:${board.sessionId}`;
  return "leaderboard:global";
}

interface Standing {
  entries: BoardEntry[];
  diff: BoardMove[];
  total: number | undefined;
}
const EMPTY: Standing = { entries: [], diff: [], total: undefined };

/** A leaderboard, live: its entries, and what moved with the newest update. */
export function useLeaderboard(board: Board) {
  const [standing, become] = useReducer(
    (before: Standing, next: Partial<Standing>) => ({ ...before, ...next }),
    EMPTY,
  );
  const { room, status, live, error, gap } = useRoom(roomOfBoard(board));
  useEffect(() => {
    if (!room) return;
    const whole = (snapshot: unknown) => {
      const { entries, total } = snapshot as { entries: BoardEntry[]; total?: number };
      become({ entries, diff: [], total });
    };
    // Another component may be in the room already, and have had the snapshot.
    become(EMPTY);
    if (room.state.snapshot !== undefined) whole(room.state.snapshot);
    const ends = [
      room.onNotice("snapshot", whole),
      room.on("leaderboardUpdate", (data: unknown) => become(data as Pick<Standing, "entries" | "diff">)),
    ];
    return () => ends.forEach((end) => end());
  }, [room]);
  return { ...standing, status, live, error, gap };
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
  | { name: "matchCompleted"; data: { result: MatchResult } }
  | { name: "matchVoided"; data: { reason?: string } };

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
    case "matchVoided":
      return { ...match, status: "voided", voidReason: event.data.reason ?? null };
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

type Told = MatchEvent | { name: "playerAction"; data: PlayerAction } | { name: "forget"; data?: undefined };

function watchedAfter(before: Watched, told: Told): Watched {
  if (told.name === "forget") return { match: undefined, actions: [] };
  if (told.name === "playerAction")
    return { ...before, actions: [told.data, ...before.actions].slice(0, ACTIONS) };
  return { ...before, match: matchAfter(before.match, told) };
}

const TOLD = ["matchStarted", "matchUpdated", "matchCompleted", "matchVoided", "playerAction"] as const;

function hearMatch(room: Room, tell: (told: Told) => void): () => void {
  const snapshot = (data: unknown) => tell({ name: "snapshot", data: data as Match });
  if (room.state.snapshot !== undefined) snapshot(room.state.snapshot);
  const ends = [
    room.onNotice("snapshot", snapshot),
    ...TOLD.map((name) => room.on(name, (data: unknown) => tell({ name, data } as Told))),
  ];
  return () => ends.forEach((end) => end());
}

/** A match, live, with the newest actions of its players; `act` is for these alone. */
export function useMatch(matchId: string | undefined) {
  const client = useClient();
  const { room, status, live, error } = useRoom(matchId === undefined ? undefined : `match:${matchId}`);
  const [watched, tell] = useReducer(watchedAfter, { match: undefined, actions: [] });
  useEffect(() => {
    if (!room) return;
    tell({ name: "forget" });
    return hearMatch(room, tell);
  }, [room]);
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
