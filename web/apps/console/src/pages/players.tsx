import { Link } from "@tanstack/react-router";
import { useRead } from "../api.ts";
import { whole } from "../format.ts";
import { Turn, useTurns } from "../turns.tsx";
import { Head, Note, Table } from "../ui.tsx";
import { InArena } from "./leaderboard.tsx";

interface PlayerRow {
  id: string;
  displayName: string;
  country: string | null;
  eloRating: number;
  rank: number | null;
}

/** Everybody who plays. */
export function PlayersPage() {
  return (
    <InArena title="Players">
      <Everybody />
    </InArena>
  );
}

function Everybody() {
  const turns = useTurns("/players", "after");
  const players = useRead<{ players: PlayerRow[]; more: boolean }>(
    `/api/arena/players?limit=50${turns.from === undefined ? "" : `&after=${encodeURIComponent(turns.from)}`}`,
  );
  const rows = players.data?.players ?? [];
  return (
    <>
      <Head title="Players" />
      {players.error ? (
        <Note error={players.error} />
      ) : rows.length === 0 ? (
        <Note>{players.isPending ? "Reading …" : "There is nobody yet."}</Note>
      ) : (
        <Table caption="Players" head={["Player", "Country", "Rank", "Rating"]}>
          {rows.map((row) => (
            <tr key={row.id}>
              <th scope="row">
                <Link to="/players/$playerId" params={{ playerId: row.id }}>
                  {row.displayName}
                </Link>
              </th>
              <td>{row.country ?? "–"}</td>
              <td>{row.rank ?? "–"}</td>
              <td>{whole(row.eloRating)}</td>
            </tr>
          ))}
        </Table>
      )}
      <Turn
        turns={turns}
        next={players.data?.more ? rows.at(-1)?.id : undefined}
        names={{ first: "First", back: "Back", on: "Next" }}
      />
    </>
  );
}
