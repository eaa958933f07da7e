import { getRouteApi, Link } from "@tanstack/react-router";
import { useMatch, type Match } from "@tidings/react";
import { useRead } from "../api.ts";
import { at, signed, whole } from "../format.ts";
import { Card, Head, Note } from "../ui.tsx";
import { InArena } from "./leaderboard.tsx";
import { MatchStatus } from "./matches.tsx";

const route = getRouteApi("/matches/$matchId");

/** A match as it is played. */
export function MatchPage() {
  return (
    <InArena title="Match">
      <Played />
    </InArena>
  );
}

function Played() {
  const { matchId } = route.useParams();
  const { match: heard, actions, live } = useMatch(matchId);
  // One that is over has no room any more, and one that ended while we were away is read again.
  const read = useRead<Match>(`/api/arena/matches/${encodeURIComponent(matchId)}`, {
    everyMs: live ? 30_000 : 3_000,
  });
  const ended = read.data && ["completed", "voided"].includes(read.data.status) ? read.data : undefined;
  const match = ended ?? heard ?? read.data;
  if (!match) {
    return (
      <>
        <Head title="Match" />
        {read.error ? <Note error={read.error} /> : <Note>Reading …</Note>}
      </>
    );
  }
  return (
    <>
      <Head title={match.players.map(({ displayName }) => displayName).join(" – ")}>
        <MatchStatus status={match.status} />
      </Head>
      <Card title="Score" aside={match.currentRound ? `round ${match.currentRound}` : match.format}>
        <ul className="score">
          {match.players.map((player) => (
            <li key={player.id} data-won={match.result?.winnerId === player.id || undefined}>
              <Link to="/players/$playerId" params={{ playerId: player.id }}>
                {player.displayName}
              </Link>
              <b>{player.score ?? 0}</b>
              <span>
                {whole(player.eloRating)} <Change of={match} player={player.id} />
              </span>
            </li>
          ))}
        </ul>
        <p role="status">{outcome(match)}</p>
      </Card>
      <Card title="What happened">
        {actions.length === 0 && (
          <Note>{live ? "Nobody has done anything since you came." : "Nothing more will happen here."}</Note>
        )}
        <ol className="hops">
          {actions.map(({ playerId, action, timestamp }) => (
            <li key={timestamp + playerId + action}>
              <b>{match.players.find(({ id }) => id === playerId)?.displayName ?? playerId}</b> {action}{" "}
              <span>{at(timestamp)}</span>
            </li>
          ))}
        </ol>
      </Card>
    </>
  );
}

function Change({ of: { result }, player }: { of: Match; player: string }) {
  const change = result?.eloChanges.find(({ playerId }) => playerId === player)?.change;
  return change === undefined ? null : <span className={change < 0 ? "down" : "up"}>{signed(change)}</span>;
}

function outcome({ status, result, voidReason, players }: Match): string {
  if (status === "voided")
    return `Void${voidReason ? `: ${voidReason}` : ""}. Ratings were computed anew without it.`;
  if (!result) return "";
  const winner = players.find(({ id }) => id === result.winnerId);
  return winner ? `${winner.displayName} won (${result.resultType}).` : `A ${result.resultType}.`;
}
