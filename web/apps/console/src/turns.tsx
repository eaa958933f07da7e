import { useLocation, useNavigate, useSearch } from "@tanstack/react-router";

declare module "@tanstack/react-router" {
  interface HistoryState {
    /** Where the pages of a list began that were gone through to this one; the first begins nowhere. */
    behind?: string[];
  }
}

/** Where a page of a list begins, as its address says, and ways to others: who comes back to it is where they were. */
export interface Turns {
  from: string | undefined;
  /** Whether it is known which page was before this one. */
  came: boolean;
  on: (from: string) => void;
  back: () => void;
}

/** The page of a list that the address names by a parameter. */
export function useTurns(to: "/players" | "/matches", name: "after" | "before"): Turns {
  const search: Record<string, string | undefined> = useSearch({ strict: false });
  const behind = useLocation({ select: ({ state }) => state.behind }) ?? [];
  const go = useNavigate();
  const from = search[name] || undefined;
  const turn = (next: string | undefined, passed: string[]) =>
    void go({ to, search: { [name]: next || undefined } as never, state: { behind: passed } });
  return {
    from,
    came: behind.length > 0,
    on: (next) => turn(next, [...behind, from ?? ""]),
    // An address that somebody was given says nothing of pages before it.
    back: () => turn(behind.at(-1), behind.slice(0, -1)),
  };
}

/** What turns the pages of a list; `next` is where the one behind this begins. */
export function Turn(props: {
  turns: Turns;
  next: string | undefined;
  names: { first: string; back: string; on: string };
}) {
  const { turns, next, names } = props;
  return (
    <div className="row-actions">
      {turns.from !== undefined && (
        <button type="button" data-fast onClick={turns.back}>
          {turns.came ? names.back : names.first}
        </button>
      )}
      {next !== undefined && (
        <button type="button" data-fast onClick={() => turns.on(next)}>
          {names.on}
        </button>
      )}
    </div>
  );
}
