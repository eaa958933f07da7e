import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useRef, type ReactNode } from "react";
import { useLeaderboard, type Board, type BoardEntry, type BoardMove } from "@tidings/react";
import { useMounted, useRead } from "../api.ts";
import { useFlip } from "../flip.ts";
import { whole } from "../format.ts";
import { Card, Head, Mark, Note } from "../ui.tsx";

interface BoardList {
  boards: ({ players: number } & Board)[];
}

/** A leaderboard as it happens: rows move as results come in. */
export function LeaderboardPage() {
  return (
    <InArena title="Leaderboard">
      <Boards />
    </InArena>
  );
}

function Boards() {
  const search: { board?: string } = useSearch({ strict: false });
  const go = useNavigate();
  const boards = useRead<BoardList>("/api/arena/leaderboards", { everyMs: 15_000 });
  const board = boardOf(search.board ?? "global");
  return (
    <>
      <Head title="Leaderboard">
        <label className="choice">
          <span className="quiet">Board</span>
          <select
            value={keyOf(board)}
            onChange={({ target }) =>
              void go({ to: "/leaderboard", search: { board: target.value } as never })
            }
          >
            {withChosen(boards.data?.boards ?? [], board).map((one) => (
              <option key={keyOf(one)} value={keyOf(one)}>
                {titleOf(one)}
              </option>
            ))}
          </select>
        </label>
      </Head>
      {boards.error ? <Note error={boards.error} /> : <LiveBoard key={keyOf(board)} board={board} />}
    </>
  );
}

/** What is of the arena, where it is mounted; a page under its heading otherwise. */
export function InArena({ title, children }: { title: string; children: ReactNode }) {
  const mounted = useMounted("arena");
  if (mounted === true) return children;
  return (
    <>
      <Head title={title} />
      <Note>{mounted === false ? "The app arena is not mounted in this server." : "Reading …"}</Note>
    </>
  );
}

function LiveBoard({ board }: { board: Board }) {
  const { entries, diff, total, status, error } = useLeaderboard(board);
  const list = useRef<HTMLOListElement>(null);
  useFlip(list, entries);
  const moves = new Map(diff.map((move) => [move.playerId, move]));
  if (status === "refused") return <Note error={error} />;
  return (
    <Card title={titleOf(board)} aside={total === undefined ? undefined : `${whole(total)} players`}>
      {entries.length === 0 && <Note>{status === "live" ? "Nobody has played yet." : "Joining …"}</Note>}
      <ol className="board" ref={list} aria-label={titleOf(board)}>
        {entries.map((entry) => (
          <Row key={entry.playerId} entry={entry} move={moves.get(entry.playerId)} />
        ))}
      </ol>
      <p className="quiet" role="status">
        {entries[0] && `First is ${entries[0].displayName} with ${whole(entries[0].eloRating)}.`}
      </p>
    </Card>
  );
}

function Row({ entry, move }: { entry: BoardEntry; move: BoardMove | undefined }) {
  return (
    <li
      data-row={entry.playerId}
      data-moved={move && move.moved !== 0 ? (move.moved > 0 ? "up" : "down") : undefined}
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
  if (oldRank === null) return <Mark kind="plain">new</Mark>;
  if (moved === 0) return null;
  const places = Math.abs(moved);
  return (
    <Mark kind={moved > 0 ? "good" : "bad"}>
      <span aria-hidden="true">{moved > 0 ? "▲" : "▼"}</span>
      <span className="quiet">{moved > 0 ? "up" : "down"}</span> {places}
    </Mark>
  );
}

function boardOf(key: string): Board {
  const [scope, id] = [key.slice(0, key.indexOf(":")), key.slice(key.indexOf(":") + 1)];
  if (scope === "country") return { scope, country: id };
  return scope === "session" ? { scope, sessionId: id } : { scope: "global" };
}

function keyOf(board: Board): string {
  if (board.scope === "country") return `country:${board.country}`;
  return board.scope === "session" ? `session:${board.sessionId}` : "global";
}

function titleOf(board: Board): string {
  if (board.scope === "country") return `Country ${board.country}`;
  return board.scope === "session" ? `Session ${board.sessionId}` : "Global";
}

const withChosen = (boards: Board[], chosen: Board): Board[] =>
  boards.some((board) => keyOf(board) === keyOf(chosen)) ? boards : [chosen, ...boards];
