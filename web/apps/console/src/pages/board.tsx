import { Link } from "@tanstack/react-router";
import { useRef } from "react";
import type { BoardEntry, BoardMove } from "@tidings/react";
import { useFlip } from "../flip.ts";
import { whole } from "../format.ts";
import { Mark } from "../ui.tsx";

/** Rows of a leaderboard that glide to their new places; `me` stands out. */
export function BoardRows({
  label,
  entries,
  diff,
  me,
}: {
  label: string;
  entries: BoardEntry[];
  diff: BoardMove[];
  me?: string | undefined;
}) {
  const list = useRef<HTMLOListElement>(null);
  useFlip(list, entries);
  const moves = new Map(diff.map((move) => [move.playerId, move]));
  return (
    <ol className="board" ref={list} aria-label={label}>
      {entries.map((entry) => (
        <Row
          key={entry.playerId}
          entry={entry}
          move={moves.get(entry.playerId)}
          mine={entry.playerId === me}
        />
      ))}
    </ol>
  );
}

function Row({ entry, move, mine }: { entry: BoardEntry; move: BoardMove | undefined; mine: boolean }) {
  return (
    <li
      data-row={entry.playerId}
      data-moved={move && move.moved !== 0 ? (move.moved > 0 ? "up" : "down") : undefined}
      data-rank={entry.rank <= 3 ? entry.rank : undefined}
      aria-current={mine || undefined}
    >
      <span className="rank">{entry.rank}</span>
      <Link to="/players/$playerId" params={{ playerId: entry.playerId }}>
        {entry.displayName}
      </Link>
      <span className="country">{entry.country}</span>
      <span className="moved">{move && <Moved move={move} />}</span>
      <span className="rating">{whole(entry.eloRating)}</span>
    </li>
  );
}

function Moved({ move: { moved, oldRank } }: { move: BoardMove }) {
  if (oldRank == null) return <Mark kind="plain">new</Mark>;
  if (moved === 0) return null;
  const places = Math.abs(moved);
  return (
    <Mark kind={moved > 0 ? "good" : "bad"}>
      <span aria-hidden="true">{moved > 0 ? "▲" : "▼"}</span>
      <span className="quiet">{moved > 0 ? "up" : "down"}</span> {places}
    </Mark>
  );
}
