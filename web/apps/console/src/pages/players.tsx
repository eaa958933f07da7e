import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useRead } from "../api.ts";
import { whole } from "../format.ts";
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
  const [after, setAfter] = useState<string[]>([]);
  const from = after.at(-1);
  const players = useRead<{ players: PlayerRow[]; more: boolean }>(
    `/api/arena/players?limit=50${from === undefined ? "" : `&after=${encodeURIComponent(from)}`}`,
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
      <div className="actions">
        {after.length > 0 && (
          <button type="button" onClick={() => setAfter(after.slice(0, -1))}>
            Back
          </button>
        )}
        {players.data?.more && (
          <button type="button" onClick={() => setAfter([...after, rows.at(-1)?.id ?? ""])}>
            Next
          </button>
        )}
      </div>
    </>
  );
}
