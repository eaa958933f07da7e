import { useState } from "react";
import { useAct, usePages, useRead, type LetterRow } from "../api.ts";
import { at, whole } from "../format.ts";
import { Ask, Head, Json, Mark, More, Note, Table, Who } from "../ui.tsx";

/** Why a message was given up, in words. */
const REASONS: Record<string, string> = {
  not_connected: "was not connected",
  not_acknowledged: "did not acknowledge it",
  shutdown: "the server stopped",
};

/** Messages to users that nobody acknowledged, the newest first. */
export function DeadLettersPage() {
  const pages = usePages<LetterRow>("/api/dead-letters", "letters", { limit: "50" }, { cursor: "before" });
  const count = (pages.data?.pages[0] as { count?: number } | undefined)?.count;
  return (
    <>
      <Head title="Dead letters">
        {count !== undefined && count > 0 && <Mark kind="busy">{whole(count)} kept</Mark>}
      </Head>
      {pages.error ? (
        <Note error={pages.error} />
      ) : pages.rows.length === 0 ? (
        <Note>{pages.isPending ? "Reading …" : "Nothing was left unacknowledged."}</Note>
      ) : (
        <Table caption="Dead letters" head={["Event", "For", "Why", "Tries", "Given up", "Message", "Do"]}>
          {pages.rows.map((row) => (
            <Letter key={row.messageId} of={row} />
          ))}
        </Table>
      )}
      <More pages={pages} />
    </>
  );
}

function Letter({ of }: { of: LetterRow }) {
  const { messageId, userId, event, reason, tries, redriven, diedAt } = of;
  const path = `/api/dead-letters/${encodeURIComponent(messageId)}`;
  const [again, drop] = [useAct(`${path}/redrive`), useAct(path, "DELETE")];
  return (
    <tr>
      <th scope="row">{event}</th>
      <td>
        <Who of={{ userId, name: null }} />
      </td>
      <td className="words">{REASONS[reason] ?? reason}</td>
      <td>
        {whole(tries)}
        {redriven > 0 && `, sent again ${whole(redriven)} ×`}
      </td>
      <td>{at(diedAt)}</td>
      <td>
        <Data path={path} />
      </td>
      <td>
        <div className="row-actions">
          <Ask
            label="Send again"
            question={`Send ${event} to ${userId} once more? It is kept until it is acknowledged.`}
            done="Sent."
            act={() => again.mutateAsync(undefined)}
          />
          <Ask
            label="Throw away"
            question={`Throw ${event} for ${userId} away? It cannot be brought back.`}
            done=""
            act={() => drop.mutateAsync(undefined)}
          />
        </div>
      </td>
    </tr>
  );
}

/** What was said, read when somebody wants to see it, and once: behind "Send again" it may be gone. */
function Data({ path }: { path: string }) {
  const [open, setOpen] = useState(false);
  const letter = useRead<object>(path, { enabled: open, once: true });
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>Show</summary>
      {letter.error ? <Note error={letter.error} /> : letter.data && <Json value={letter.data} />}
    </details>
  );
}
