import { Link } from "@tanstack/react-router";
import { Fragment, useEffect, useId, useLayoutEffect, useRef, useState, type ReactNode } from "react";
import { Refusal } from "@tidings/client";
import { focusPage, useDoing } from "./doing.ts";

/** A part of a page under a heading of its own. */
export function Card({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  const id = useId();
  return (
    <section className="card" aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {aside !== undefined && <div className="aside">{aside}</div>}
      </header>
      {children}
    </section>
  );
}

/** A figure with its name. */
export function Tile({ name, value, note }: { name: string; value: string; note?: ReactNode }) {
  return (
    <div className="tile">
      <dt>{name}</dt>
      <dd>{value}</dd>
      {note !== undefined && <dd className="note">{note}</dd>}
    </div>
  );
}

/** A sentence of a description, in which names stand between backticks; one element, also in a cell that is a grid. */
export function Words({ of: text = "" }: { of: string | undefined }) {
  const parts = text.split("`");
  return (
    <span>{parts.map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</span>
  );
}

/** Somebody by name, with a way to all there is about him. */
export function Who({ of: { userId, name } }: { of: { userId: string | null; name: string | null } }) {
  if (userId === null) return name ?? "anonymous";
  return (
    <Link to="/users/$userId" params={{ userId }}>
      {name ?? userId}
    </Link>
  );
}

/** A word with a colour that says how good it is; the word says it as well. */
export function Mark({ kind, children }: { kind: "good" | "busy" | "bad" | "plain"; children: ReactNode }) {
  return <span className={`mark ${kind}`}>{children}</span>;
}

/** Names in a row. One that is written from right to left turns neither their order nor what stands beside them. */
export function Names({ of: names, between }: { of: string[]; between: string }) {
  return names.map((name, index) => (
    <Fragment key={index}>
      {index > 0 && between}
      <bdi>{name}</bdi>
    </Fragment>
  ));
}

/** A page's own heading, and what is done at the top of it; `shown` is the title as it is laid out, if it is more than text. */
export function Head(props: { title: string; shown?: ReactNode; children?: ReactNode }) {
  const { title, shown = title, children } = props;
  useEffect(() => {
    document.title = `${title} · Tidings console`;
  }, [title]);
  return (
    <div className="head">
      <h1>{shown}</h1>
      {children}
    </div>
  );
}

/** What went wrong, in words for who reads it in a page. */
function wrongIn(error: unknown): string {
  if (!(error instanceof Error)) return "It did not work.";
  if (error instanceof Refusal && error.code === "forbidden")
    return "This is for administrators. Sign in with an account that has the role admin, or with a token that has the scope admin.";
  // Each browser has its own words for a server that does not answer, and none says that it may be another time.
  if (error instanceof Refusal && error.code === "unavailable")
    return `It cannot be had now: ${error.message}`;
  return error.message;
}

/** What stands where nothing is, or where something went wrong. */
export function Note({ error, children }: { error?: unknown; children?: ReactNode }) {
  if (error === undefined || error === null) return <p className="empty">{children}</p>;
  return (
    <p className="empty refused" role="alert">
      {wrongIn(error)}
    </p>
  );
}

/**
 * A table; where the window is narrow each row stands by itself, with the name of its column before each cell.
 *
 * Laid out so it would be no table any more to a screen reader, hence the roles. Where it is still too wide it scrolls, by
 * keyboard as well.
 */
export function Table({ caption, head, children }: { caption: string; head: string[]; children: ReactNode }) {
  const body = useRef<HTMLTableSectionElement>(null);
  useLayoutEffect(() => {
    for (const row of body.current?.rows ?? []) {
      row.setAttribute("role", "row");
      [...row.cells].forEach((cell, index) => {
        cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
        cell.dataset["column"] = head[index] ?? "";
      });
    }
  });
  return (
    <div className="scroll" role="region" aria-label={caption} tabIndex={0}>
      <table role="table">
        <caption className="quiet">{caption}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {head.map((cell) => (
              <th key={cell} scope="col" role="columnheader">
                {cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup" ref={body}>
          {children}
        </tbody>
      </table>
    </div>
  );
}

/** A button that asks once more before something that cannot be taken back. */
export function Ask({
  label,
  question,
  act,
  done,
}: {
  label: string;
  question: string;
  act: () => Promise<unknown>;
  done: string;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const [said, say] = useState<string>();
  const [busy, doing] = useDoing();
  useLayoutEffect(() => {
    const [asked, asker] = [dialog.current, button.current];
    return () => {
      asked?.close();
      // What was done took the button away that asked: who works by keyboard goes on in the page.
      if (document.activeElement === asker) focusPage();
    };
  }, []);
  const go = () =>
    doing(async () => {
      try {
        await act();
        say(done);
      } catch (error) {
        say(error instanceof Error ? error.message : "It did not work.");
      }
      dialog.current?.close();
    });
  return (
    <>
      <button ref={button} type="button" className="danger" onClick={() => dialog.current?.showModal()}>
        {label}
      </button>
      <span role="status" className="said">
        {said}
      </span>
      <dialog ref={dialog} aria-label={label}>
        <p>{question}</p>
        <div className="actions">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="button" className="danger" disabled={busy} onClick={() => void go()}>
            {label}
          </button>
        </div>
      </dialog>
    </>
  );
}

/** Letters of an event's data that are shown before it is opened. */
const PREVIEW = 160;

/** JSON on one line, cut. */
export function Preview({ value }: { value: unknown }) {
  const text = JSON.stringify(value) ?? "";
  return <code className="preview">{text.length > PREVIEW ? `${text.slice(0, PREVIEW)}…` : text}</code>;
}

/** JSON as people read it. */
export function Json({ value }: { value: unknown }) {
  return (
    <pre className="json" tabIndex={0}>
      {JSON.stringify(value, null, 2)}
    </pre>
  );
}

/** A text that is asked for as it is typed. */
export function Filter({
  label,
  value,
  set,
}: {
  label: string;
  value: string;
  set: (value: string) => void;
}) {
  return (
    <label className="filter">
      <span className="quiet">{label}</span>
      <input type="search" value={value} placeholder={label} onChange={(event) => set(event.target.value)} />
    </label>
  );
}

/** One of several; its name is there for screen readers alone, unless it is `shown`. */
export function Choice<Value extends string>({
  label,
  value,
  set,
  of,
  shown = false,
}: {
  label: string;
  value: Value;
  set: (value: Value) => void;
  of: (readonly [value: string, title: string])[];
  shown?: boolean;
}) {
  return (
    <label className={shown ? undefined : "choice"}>
      {shown ? label : <span className="quiet">{label}</span>}
      <select value={value} onChange={({ target }) => set(target.value as Value)}>
        {of.map(([one, title]) => (
          <option key={one} value={one}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}

/** What reads the next page of a list. */
export function More({
  pages,
}: {
  pages: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown };
}) {
  if (!pages.hasNextPage) return null;
  return (
    <button
      type="button"
      className="more"
      data-fast
      disabled={pages.isFetchingNextPage}
      onClick={() => void pages.fetchNextPage()}
    >
      Show more
    </button>
  );
}
