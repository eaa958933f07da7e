import type { Client } from "@tidings/client";
import { useClient } from "@tidings/react";
import { Confirmed } from "../confirm.tsx";
import { save } from "../save.ts";

/** A room that has ended, as a file with which anybody computes its standings again. */
export function Export({ roomId }: { roomId: string }) {
  const client = useClient();
  return (
    <Confirmed
      label="Export"
      question="An export takes the whole journal of this room away. Give your password again."
      done="Exported."
      act={async () => save(`${roomId}.ndjson`, await journalOf(client, roomId), "application/x-ndjson")}
    />
  );
}

/** The parts of an export: the last line of each but the last says behind which entry the next begins. */
async function journalOf(client: Client, roomId: string): Promise<string> {
  const path = `/api/trading/rooms/${encodeURIComponent(roomId)}/export`;
  const parts: string[] = [];
  for (let search = ""; ;) {
    const part = (await client.request(path + search)) as string;
    parts.push(part);
    const last = JSON.parse(part.trimEnd().split("\n").at(-1) ?? "{}") as { seq?: number; chain?: string };
    if (last.seq === undefined) return parts.join("");
    search = `?after=${last.seq}&chain=${last.chain}`;
  }
}
