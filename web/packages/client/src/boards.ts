import type { Client } from "./client.ts";
import { followed, type Followed, type Rules } from "./followed.ts";
import type { Room } from "./room.ts";
import type { BoardSnapshot, BoardUpdate, Entry, Step, WindowUpdate } from "./wire.ts";

/** Which leaderboard: the global one, a country's or a session's. */
export type Board =
  { scope: "global" } | { scope: "country"; country: string } | { scope: "session"; sessionId: string };

/**
 * Which part of a board: its first, the rows around a player, or a player and his friends. The last two are for that
 * player alone, and for servers. `everyMs` is the pace: 250, 1,000 (if it is not said), 5,000 or 60,000.
 */
export type BoardPart = { everyMs?: 250 | 1000 | 5000 | 60000 } & (
  | { kind: "top"; size: number }
  | { kind: "around"; player: string; k: number }
  | { kind: "friends"; player: string }
);

/** What is seen of a board: rows, the best first, and whose place the newest message has changed. */
export interface Standing {
  entries: Entry[];
  diff: Step[];
  /** How many are on the board. */
  total: number | undefined;
}

const EMPTY: Standing = { entries: [], diff: [], total: undefined };

const whole = (snapshot: unknown): Standing => {
  const { entries, total } = snapshot as BoardSnapshot;
  return { entries, diff: [], total };
};

const placeOf = (board: Board): string => {
  if (board.scope === "country") return `country:${board.country}`;
  return board.scope === "session" ? `session:${board.sessionId}` : "global";
};

/** The room of a leaderboard. */
export const roomOfBoard = (board: Board): string => `leaderboard:${placeOf(board)}`;

/** The room of a part of a leaderboard. */
export function roomOfPart(board: Board, part: BoardPart): string {
  const { kind, everyMs = 1_000 } = part;
  const size = kind === "top" ? [part.size] : kind === "around" ? [part.k] : [];
  const player = kind === "top" ? [] : [part.player];
  return ["window", placeOf(board), kind, ...size, everyMs, ...player].join(":");
}

/** How a leaderboard follows its room. */
export const BOARD: Rules<Standing> = {
  empty: EMPTY,
  snapshot: whole,
  events: {
    leaderboardUpdate: (before, { entries, diff }: BoardUpdate) => ({ ...before, entries, diff }),
  },
};

/** How a part of one follows its room. */
export const PART: Rules<Standing> = {
  empty: EMPTY,
  snapshot: whole,
  events: { windowUpdate: windowAfter },
};

/** A part of a board after a change of it; the same change twice is as good as once. */
export function windowAfter(before: Standing, { total, enter, leave, move }: WindowUpdate): Standing {
  const rows = new Map(before.entries.map((entry) => [entry.playerId, entry]));
  for (const gone of leave) rows.delete(gone);
  for (const entry of enter) rows.set(entry.playerId, entry);
  for (const { playerId, to, eloRating, called } of move) {
    const row = rows.get(playerId);
    // Who is not there has left since: this came before the snapshot that said so.
    if (row) rows.set(playerId, { ...row, rank: to, eloRating, ...called });
  }
  const diff = [
    ...enter.map(({ playerId }) => ({ playerId, moved: 0, oldRank: null })),
    ...move.map(({ playerId, from, to }) => ({ playerId, moved: from - to, oldRank: from })),
  ];
  return { entries: [...rows.values()].sort((a, b) => a.rank - b.rank), diff, total };
}

/** A part of a leaderboard, kept live while somebody is in its room. */
export class LeaderboardWindow {
  readonly room: Room;
  readonly #rows: Followed<Standing>;

  constructor(client: Client, board: Board, part: BoardPart) {
    this.room = client.room(roomOfPart(board, part));
    this.#rows = followed(this.room, PART);
  }

  /** What is seen; another object after each change. */
  get state(): Standing {
    return this.#rows.state;
  }

  /** Calls `watcher` after each change of `state`; answers what ends that. */
  watch(watcher: () => void): () => void {
    return this.#rows.watch(watcher);
  }

  /** Keeps it live until what is answered is called. `room.state` says how far that is. */
  enter(): () => void {
    return this.room.enter({ afresh: true });
  }
}
