import { Link } from "@tanstack/react-router";
import type { Match } from "@tidings/react";
import { useRead } from "../api.ts";
import { Head, Mark, Note, Table } from "../ui.tsx";
import { InArena } from "./leaderboard.tsx";

/** The newest matches. */
export function MatchesPage() {
  return (
    <InArena title="Matches">
      <Newest />
    </InArena>
  );
}

function Newest() {
  const matches = useRead<{ matches: Match[] }>("/api/arena/matches?limit=50", { everyMs: 3_000 });
  return (
    <>
      <Head title="Matches" />
      {matches.error ? <Note error={matches.error} /> : <MatchTable matches={matches.data?.matches} />}
    </>
  );
}

const KINDS: Record<string, "good" | "busy" | "bad" | "plain"> = {
  started: "good",
  paused: "busy",
  voided: "bad",
};

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
          <th scope="row">{match.players.map(({ displayName }) => displayName).join(" – ")}</th>
          <td>{match.players.map(({ score }) => score ?? 0).join(" : ")}</td>
          <td>
            <MatchStatus status={match.status} />
          </td>
          <td>
            <Link to="/matches/$matchId" params={{ matchId: match.id }}>
              Watch{" "}
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
