import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { usePages, type RoomRow } from "../api.ts";
import { bytes, orDash, short, whole } from "../format.ts";
import { Filter, Head, Mark, More, Note, Table } from "../ui.tsx";

/** Rooms that are in memory. */
export function RoomsPage() {
  const [q, setQ] = useState("");
  const pages = usePages<RoomRow>("/api/admin/rooms", "rooms", { q });
  return (
    <>
      <Head title="Rooms">
        <Filter label="Part of a room’s name" value={q} set={setQ} />
      </Head>
      {pages.error ? (
        <Note error={pages.error} />
      ) : pages.rows.length === 0 ? (
        <Note>{pages.isPending ? "Reading …" : "No room has members or a history."}</Note>
      ) : (
        <Table caption="Rooms" head={["Room", "Keeps", "Members", "Kept", "Size", "Events/s"]}>
          {pages.rows.map((row) => (
            <tr key={`${row.org} ${row.room}`}>
              <th scope="row">
                <Link to="/rooms/$room" params={{ room: row.room }}>
                  {row.room}
                </Link>
              </th>
              <td>
                <Mark kind="plain">{row.keep}</Mark>
              </td>
              <td>{whole(row.members)}</td>
              <td>{orDash(row.kept, whole)}</td>
              <td>{orDash(row.bytes, bytes)}</td>
              <td>{orDash(row.eventsPerSecond, short)}</td>
            </tr>
          ))}
        </Table>
      )}
      <More pages={pages} />
    </>
  );
}
