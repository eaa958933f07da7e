import { getRouteApi, Link } from "@tanstack/react-router";
import { useReducer } from "react";
import type { MatchUpdated } from "@tidings/client";
import { useMatch, useRoom, type Match, type PlayerAction } from "@tidings/react";
import { useRead } from "../api.ts";
import { at, signed, whole } from "../format.ts";
import { Card, Head, Names, Note } from "../ui.tsx";
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
  // Before the match itself is entered: whoever is first says how much of the past comes.
  const log = useLog(matchId);
  const { match: heard, live } = useMatch(matchId);
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
  const names = match.players.map(({ displayName }) => displayName);
  return (
    <>
      <Head title={names.join(" – ")} shown={<Names of={names} between=" – " />}>
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
      <Card title="What happened" aside={live ? "as it happens" : undefined}>
        {log.length === 0 && <Note>{live ? "Nothing yet." : "Its room is closed, and kept no longer."}</Note>}
        <ol className="hops">
          {log.map(({ key, who, what, when }) => (
            <li key={key}>
              {who !== undefined && <b>{nameOf(match, who)} </b>}
              {what} {when !== undefined && <span>{at(when)}</span>}
            </li>
          ))}
        </ol>
      </Card>
    </>
  );
}

/** Events of the past that are asked for, and that are shown at most. */
const PAST = 50;

interface Happened {
  key: string;
  who?: string;
  what: string;
  when?: string;
}

/** What was said in a match's room, the newest first. */
function useLog(matchId: string): Happened[] {
  const [log, add] = useReducer(
    (before: Happened[], news: Happened[]) =>
      [...news.filter(({ key }) => before.every((one) => one.key !== key)), ...before].slice(0, PAST),
    [],
  );
  useRoom(`match:${matchId}`, {
    rewind: PAST,
    onEvent: (event, data, { messageId }) =>
      add(told(event, data).map((one, index) => ({ ...one, key: `${messageId} ${index}` }))),
  });
  return log;
}

/** An event in words. */
function told(event: string, data: unknown): Omit<Happened, "key">[] {
  if (event === "playerAction") {
    const { playerId, action, timestamp } = data as PlayerAction;
    return [{ who: playerId, what: action, when: timestamp }];
  }
  if (event === "matchStarted") return [{ what: "It began." }];
  if (event === "matchCompleted") return [{ what: "It is over." }];
  if (event !== "matchUpdated") return [];
  const { scores, status, currentRound } = (data as MatchUpdated).update;
  return [
    ...(scores ?? []).map(({ playerId, score }) => ({ who: playerId, what: `has ${score}` })),
    ...(status == null ? [] : [{ what: `It is ${status}.` }]),
    ...(currentRound == null ? [] : [{ what: `Round ${currentRound}.` }]),
  ];
}

const nameOf = ({ players }: Match, id: string) =>
  players.find((player) => player.id === id)?.displayName ?? id;

function Change({ of: { result }, player }: { of: Match; player: string }) {
  const change = result?.eloChanges.find(({ playerId }) => playerId === player)?.change;
  return change === undefined ? null : <span className={change < 0 ? "down" : "up"}>{signed(change)}</span>;
}

export function outcome({
  status,
  result,
  voidReason,
  players,
}: Pick<Match, "status" | "result" | "voidReason" | "players">): string {
  if (status === "voided")
    return `Void${voidReason ? `: ${voidReason}` : ""}. Ratings were computed anew without it.`;
  if (!result) return "";
  const winner = players.find(({ id }) => id === result.winnerId);
  if (!winner) return `A ${result.resultType}.`;
  return `${winner.displayName} won${result.resultType === "win" ? "" : ` (${result.resultType})`}.`;
}
