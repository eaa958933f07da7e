import { useNavigate, useSearch } from "@tanstack/react-router";
import { useReducer, type FormEvent, type ReactNode } from "react";
import type { Refusal } from "@tidings/client";
import { useLeaderboard, useUserId, useWindow, type Board } from "@tidings/react";
import { useAct, useMounted, useRead } from "../api.ts";
import { fieldOf } from "../form.ts";
import { counted, whole } from "../format.ts";
import { Card, Choice, Head, Note } from "../ui.tsx";
import { BoardRows } from "./board.tsx";

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
  const search: { board?: string; view?: string } = useSearch({ strict: false });
  const go = useNavigate();
  const boards = useRead<BoardList>("/api/arena/leaderboards", { everyMs: 15_000 });
  const board = boardOf(search.board ?? "global");
  const view: View =
    search.view !== undefined && Object.hasOwn(VIEWS, search.view) ? (search.view as View) : "top";
  // Whoever was nobody a moment ago asks again.
  const [came, come] = useReducer((times: number) => times + 1, 0);
  const change = (changes: typeof search) =>
    void go({ to: "/leaderboard", search: { ...search, ...changes } as never });
  return (
    <>
      <Head title="Leaderboard">
        <Choice
          label="Board"
          value={keyOf(board)}
          set={(chosen) => change({ board: chosen })}
          of={withChosen(boards.data?.boards ?? [], board).map((one) => [keyOf(one), titleOf(one)])}
        />
        <Choice
          label="Part"
          value={view}
          set={(chosen) => change({ view: chosen })}
          of={Object.entries(VIEWS)}
        />
      </Head>
      {boards.error ? (
        <Note error={boards.error} />
      ) : view === "top" ? (
        <TopOf key={keyOf(board)} board={board} />
      ) : (
        <MyPart key={`${view} ${keyOf(board)} ${came}`} board={board} kind={view} come={come} />
      )}
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

const SIDE = 10;
/** What one may look at of a board. */
const VIEWS = { top: "First fifty", around: "Around me", friends: "My friends" } as const;
type View = keyof typeof VIEWS;

function TopOf({ board }: { board: Board }) {
  const { entries, diff, total, status, error } = useLeaderboard(board);
  const me = useUserId();
  if (status === "refused") return <Note error={error} />;
  return (
    <Shown board={board} total={total}>
      {entries.length === 0 && <Note>{status === "live" ? "Nobody has played yet." : "Joining …"}</Note>}
      <BoardRows label={titleOf(board)} entries={entries} diff={diff} me={me} />
      <p className="quiet" role="status">
        {entries[0] && `First is ${entries[0].displayName} with ${whole(entries[0].eloRating)}.`}
      </p>
    </Shown>
  );
}

function MyPart({ board, kind, come }: { board: Board; kind: "around" | "friends"; come: () => void }) {
  const wanted = kind === "around" ? ({ kind, k: SIDE, everyMs: 250 } as const) : ({ kind } as const);
  const { entries, diff, total, status, error, me } = useWindow(board, wanted);
  const mine = entries.find(({ playerId }) => playerId === me);
  if (status === "refused") return <Stranger board={board} error={error} come={come} />;
  return (
    <Shown board={board} total={total}>
      {entries.length === 0 && (
        <Note>{status === "live" ? "You do not stand on this board." : "Joining …"}</Note>
      )}
      <BoardRows label={VIEWS[kind]} entries={entries} diff={diff} me={me} />
      {kind === "friends" && entries.length === 1 && (
        <Note>Friends are shown here once both of you have wished for it.</Note>
      )}
      <p className="quiet" role="status">
        {mine && `You are ${mine.rank} of ${whole(total ?? 0)} with ${whole(mine.eloRating)}.`}
      </p>
    </Shown>
  );
}

/** For who does not play: a way to begin. */
function Stranger({ board, error, come }: { board: Board; error: Refusal | undefined; come: () => void }) {
  const begin = useAct<{ displayName: string; country?: string }>("/api/arena/players");
  const name = useUserId();
  if (error?.code !== "not_found") return <Note error={error} />;
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const country = fieldOf(form, "country").toUpperCase();
    const wanted = { displayName: fieldOf(form, "name"), ...(country === "" ? {} : { country }) };
    begin.mutate(wanted, { onSuccess: come });
  };
  return (
    <Shown board={board} total={undefined}>
      <Note>You do not play yet, so there is nothing around you.</Note>
      <form className="line" onSubmit={submit}>
        <label>
          Name
          <input key={name} name="name" defaultValue={name} required maxLength={64} />
        </label>
        <label>
          Country (two letters)
          <input name="country" maxLength={2} pattern="[A-Za-z]{2}" autoComplete="country" />
        </label>
        <button type="submit" disabled={begin.isPending}>
          Come onto the board
        </button>
      </form>
      {begin.error && <Note error={begin.error} />}
    </Shown>
  );
}

function Shown({ board, total, children }: { board: Board; total: number | undefined; children: ReactNode }) {
  return (
    <Card title={titleOf(board)} aside={total === undefined ? undefined : counted(total, "player")}>
      {children}
    </Card>
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
