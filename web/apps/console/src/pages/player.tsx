import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { useEvent, useWindow, type BoardEntry, type Match } from "@tidings/react";
import { useRead } from "../api.ts";
import { Chart } from "../chart.tsx";
import { at, signed, whole } from "../format.ts";
import { Card, Head, Mark, Note, Tile } from "../ui.tsx";
import { BoardRows } from "./board.tsx";
import { InArena } from "./leaderboard.tsx";
import { MatchTable } from "./matches.tsx";

const route = getRouteApi("/players/$playerId");
const CURVE: { name: string; colour: 1 }[] = [{ name: "rating", colour: 1 }];

interface Player {
  id: string;
  displayName: string;
  country: string | null;
  eloRating: number;
  rank: number | null;
  countryRank: number | null;
  games: number;
  wins: number;
  losses: number;
  draws: number;
  streak: number;
  peakRating: number;
  glicko2?: { rating: number; deviation: number };
  online?: boolean;
  achievements?: { id: string; title: string; at: string }[];
}

interface Rated {
  at: string;
  matchId: string;
  rating: number;
  change: number;
}

/** Somebody who plays: rank, rating over time, matches. */
export function PlayerPage() {
  return (
    <InArena title="Player">
      <Somebody />
    </InArena>
  );
}

function Somebody() {
  const { playerId } = route.useParams();
  const path = `/api/arena/players/${encodeURIComponent(playerId)}`;
  const queries = useQueryClient();
  const player = useRead<Player>(path, { everyMs: 30_000 });
  const past = useRead<{ history: Rated[] }>(`${path}/history?limit=100`, { everyMs: 30_000 });
  const matches = useRead<{ matches: Match[] }>(`${path}/matches?limit=10`, { everyMs: 30_000 });
  // What was read is dropped by the event that tells of a change.
  useEvent("leaderboard:global", "rankChange", (data: unknown) => {
    if ((data as { playerId?: string }).playerId !== playerId) return;
    void queries.invalidateQueries({ predicate: ({ queryKey }) => String(queryKey[0]).startsWith(path) });
  });
  if (!player.data) {
    return (
      <>
        <Head title="Player" />
        {player.error ? <Note error={player.error} /> : <Note>Reading …</Note>}
      </>
    );
  }
  return <Shown player={player.data} past={past.data?.history ?? []} matches={matches.data?.matches} />;
}

function Shown({ player, past, matches }: { player: Player; past: Rated[]; matches: Match[] | undefined }) {
  const around = useAround(player.id);
  // Results of others push somebody a place, and only the rows around him tell of it.
  const now = around.rows.find(({ playerId }) => playerId === player.id);
  const rank = now?.rank ?? player.rank;
  const times = useMemo(() => past.toReversed().map((one) => Date.parse(one.at) / 1_000), [past]);
  const ratings = useMemo(() => [past.toReversed().map(({ rating }) => rating)], [past]);
  return (
    <>
      <Head title={player.displayName}>
        {player.country && <Mark kind="plain">{player.country}</Mark>}
        {player.online !== undefined && (
          <Mark kind={player.online ? "good" : "plain"}>{player.online ? "online" : "offline"}</Mark>
        )}
      </Head>
      <dl className="tiles">
        <Tile
          name="Rank"
          value={rank === null ? "–" : `#${whole(rank)}`}
          note={
            player.country && player.countryRank
              ? `#${whole(player.countryRank)} in ${player.country}`
              : undefined
          }
        />
        <Tile
          name="Rating"
          value={whole(now?.eloRating ?? player.eloRating)}
          note={`peak ${whole(player.peakRating)}`}
        />
        <Tile
          name="Games"
          value={whole(player.games)}
          note={`${player.wins} won · ${player.losses} lost · ${player.draws} drawn`}
        />
        <Tile
          name="Streak"
          value={signed(player.streak)}
          note={
            player.glicko2 && `Glicko-2 ${whole(player.glicko2.rating)} ± ${whole(player.glicko2.deviation)}`
          }
        />
      </dl>
      <Card title={`Around ${player.displayName}`}>
        {around.rows.length === 0 && <Note>{around.live ? "Not on the board." : "Reading …"}</Note>}
        <BoardRows
          label={`Around ${player.displayName}`}
          entries={around.rows}
          diff={around.diff}
          me={player.id}
        />
      </Card>
      <Card title="Rating">
        {past.length < 2 ? (
          <Note>After two games there is a curve.</Note>
        ) : (
          <Chart label="Rating" curves={CURVE} times={times} values={ratings} unit={whole} fitted={10} />
        )}
      </Card>
      <Card title="Matches">
        <MatchTable matches={matches} />
      </Card>
      {player.achievements && player.achievements.length > 0 && (
        <Card title="Achievements">
          <ul className="achievements">
            {player.achievements.map(({ id, title, at: when }) => (
              <li key={id}>
                <b>{title}</b> <span>{at(when)}</span>
              </li>
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}

const SIDE = 3;

/** The rows around a player, live where one may hear them: one's own, and a server's. Others see them as they were read. */
function useAround(id: string) {
  const wanted = { kind: "around", player: id, k: SIDE, everyMs: 250 } as const;
  const { entries, diff, status, live } = useWindow({ scope: "global" }, wanted);
  const path = `/api/arena/leaderboards/global/around/${encodeURIComponent(id)}?k=${SIDE}`;
  const read = useRead<{ entries: BoardEntry[] }>(path, { enabled: status === "refused", everyMs: 10_000 });
  return { rows: status === "refused" ? (read.data?.entries ?? []) : entries, diff, live };
}
