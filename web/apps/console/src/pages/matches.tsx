import { Link } from "@tanstack/react-router";
import type { Match } from "@tidings/react";
import { useRead } from "../api.ts";
import { Turn, useTurns } from "../turns.tsx";
import { Head, Mark, Names, Note, Table } from "../ui.tsx";
import { InArena } from "./leaderboard.tsx";

/** How long those that are older are shown as they were read. */
const OLD_MS = 60_000;

/** Matches, the newest first. */
export function MatchesPage() {
  return (
    <InArena title="Matches">
      <Pages />
    </InArena>
  );
}

function Pages() {
  const turns = useTurns("/matches", "before");
  const before = turns.from;
  const path = `/api/arena/matches?limit=50${before === undefined ? "" : `&before=${encodeURIComponent(before)}`}`;
  const { data, error } = useRead<{ matches: Match[]; more: boolean }>(path, {
    everyMs: before === undefined ? 3_000 : OLD_MS,
  });
  return (
    <>
      <Head title="Matches" />
      {error ? <Note error={error} /> : <MatchTable matches={data?.matches} />}
      <Turn
        turns={turns}
        next={data?.more ? data.matches.at(-1)?.id : undefined}
        names={{ first: "Newest", back: "Newer", on: "Older" }}
      />
    </>
  );
}

const KINDS: Record<string, "good" | "busy" | "bad" | "plain"> = {
  started: "good",
  paused: "busy",
  voided: "bad",
};

const isOver = ({ status }: Match) => status === "completed" || status === "voided";

/** How far a match is. */
export const MatchStatus = ({ status }: { status: string }) => (
  <Mark kind={KINDS[status] ?? "plain"}>{status}</Mark>
);

/** Matches in a table, the newest first. */
export function MatchTable({ matches }: { matches: Match[] | undefined }) {
  if (!matches) return <Note>Reading …</Note>;
  if (matches.length === 0) return <Note>No match was played yet.</Note>;
  return (
    <Table caption="Matches" head={["Players", "Score", "State", "See"]}>
      {matches.map((match) => (
        <tr key={match.id}>
          <th scope="row">
            <Names of={match.players.map(({ displayName }) => displayName)} between=" – " />
          </th>
          <td>{match.players.map(({ score }) => score ?? 0).join(" : ")}</td>
          <td>
            <MatchStatus status={match.status} />
          </td>
          <td>
            <Link to="/matches/$matchId" params={{ matchId: match.id }}>
              {isOver(match) ? "Look at" : "Watch"}{" "}
              <span className="quiet">
                {match.players.map(({ displayName }) => displayName).join(" against ")}
              </span>
            </Link>
          </td>
        </tr>
      ))}
    </Table>
  );
}
