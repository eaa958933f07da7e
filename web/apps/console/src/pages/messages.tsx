import { useNavigate, useSearch } from "@tanstack/react-router";
import { useId, useReducer, type FormEvent } from "react";
import type { Place } from "@tidings/client";
import { useRoom } from "@tidings/react";
import { useRead } from "../api.ts";
import { fieldOf } from "../form.ts";
import { at, whole } from "../format.ts";
import { session, useSession } from "../session.ts";
import { Card, Head, Json, Mark, Note, Preview } from "../ui.tsx";

/** Events that are shown at most. */
const SHOWN = 200;
const REWIND = 30;

interface Search {
  room?: string;
  messageId?: string;
  userId?: string;
}

interface Seen {
  event: string;
  data: unknown;
  place: Place;
  at: number;
}

/** What is said in a room as it happens, and what became of a message for a user. */
export function MessagesPage() {
  const search: Search = useSearch({ strict: false });
  const go = useNavigate();
  const change = (changes: Search) =>
    void go({ to: "/messages", search: { ...search, ...changes } as never });
  const watch = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    change(asked(event.currentTarget, ["room"]));
  };
  const room = useId();
  // For others there is no such thing: the server says so of its path.
  const mayExplain = useSession()?.isServer === true;
  const explanation = useExplanation(search, mayExplain);
  const explain = (wanted: Search) => {
    // The same asked once more is read once more: things have gone on.
    if (pathOf({ ...search, ...wanted }) === pathOf(search)) void explanation.refetch();
    change(wanted);
  };
  return (
    <>
      <Head title="Messages" />
      <div className={mayExplain ? "pair wide-first" : undefined}>
        <Card title="As it happens">
          <form className="line" onSubmit={watch}>
            <label htmlFor={room}>
              Room
              <input
                key={search.room}
                id={room}
                name="room"
                defaultValue={search.room ?? "lobby:welcome"}
                required
              />
            </label>
            <button type="submit">Watch</button>
          </form>
          {search.room === undefined ? (
            <Note>Choose a room to watch.</Note>
          ) : (
            <Tail
              key={search.room}
              room={search.room}
              explain={mayExplain ? (messageId) => explain({ messageId }) : undefined}
            />
          )}
        </Card>
        {mayExplain && <Explain search={search} answer={explanation} ask={explain} />}
      </div>
    </>
  );
}

/** What stands in a form of these names. */
function asked(form: HTMLFormElement, names: (keyof Search)[]): Search {
  const fields = new FormData(form);
  return Object.fromEntries(names.map((name) => [name, fieldOf(fields, name) || undefined]));
}

function Tail({ room, explain }: { room: string; explain: ((messageId: string) => void) | undefined }) {
  const [seen, see] = useReducer((before: Seen[], next: Seen) => [next, ...before].slice(0, SHOWN), []);
  const { status, error, gap } = useRoom(room, {
    rewind: REWIND,
    onEvent: (event, data, place) => see({ event, data, place, at: Date.now() }),
  });
  // What is rewound says nothing of when it was said; the history does, to whom it may be shown.
  const past = useRead<{ events: { messageId: string; at: string }[] }>(
    `/api/rooms/${encodeURIComponent(room)}/history?limit=${REWIND}`,
  );
  const times = new Map(past.data?.events.map((event) => [event.messageId, event.at]));
  if (status === "refused" || status === "left") return <Note error={error} />;
  return (
    <>
      {gap && <p className="alert warning">Something is missing here: {gap.reason}.</p>}
      {seen.length === 0 && <Note>{status === "live" ? "Nothing was said yet." : "Joining …"}</Note>}
      <ol className="events" aria-label={`Events of ${room}`}>
        {seen.map((one) => (
          <li key={one.place.messageId}>
            <details>
              <summary>
                <b>{one.event}</b> <span>{at(times.get(one.place.messageId) ?? one.at)}</span>{" "}
                {one.place.offset !== undefined && <span>#{one.place.offset}</span>}{" "}
                <Preview value={one.data} />
              </summary>
              <Json value={one.data} />
              <p>
                <code>{one.place.messageId}</code>
              </p>
              {explain && (
                <button type="button" onClick={() => explain(one.place.messageId)}>
                  Explain
                </button>
              )}
            </details>
          </li>
        ))}
      </ol>
    </>
  );
}

interface Hop extends Record<string, unknown> {
  hop: string;
  verdict: string;
}

interface Explanation {
  verdict?: string;
  hops?: Hop[];
  moments?: ({ at: number; what: string; room?: string } & Record<string, unknown>)[];
}

const GOOD = ["accepted", "synced", "memory", "handed", "sent", "replayed", "caught_up", "own", "volatile"];
const BAD = ["lost", "overrun", "dropped_or_sent", "unknown"];
const kindOf = (verdict: string) =>
  GOOD.includes(verdict) ? "good" : BAD.includes(verdict) ? "bad" : "busy";
const words = (verdict: string) => verdict.replaceAll("_", " ");

const isAsked = ({ messageId, userId }: Search) => (messageId ?? userId) !== undefined;
/** For whom it is explained; for whoever asks, if nobody is named. */
const userOf = ({ userId }: Search) => userId ?? session()?.userId ?? "";

function pathOf(search: Search): string {
  const { messageId } = search;
  const query = { ...(messageId === undefined ? {} : { messageId }), userId: userOf(search) };
  return `/api/explain?${new URLSearchParams(query)}`;
}

const useExplanation = (search: Search, mayExplain: boolean) =>
  useRead<Explanation>(pathOf(search), { enabled: mayExplain && isAsked(search) });

/** Asks what became of a message for a user, and shows it. */
function Explain(props: {
  search: Search;
  answer: ReturnType<typeof useExplanation>;
  ask: (wanted: Search) => void;
}) {
  const { search, answer, ask } = props;
  const [message, user] = [useId(), useId()];
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    ask(asked(event.currentTarget, ["messageId", "userId"]));
  };
  return (
    <Card title="Explain" aside="what became of it, hop by hop">
      <form className="line" onSubmit={submit}>
        <label htmlFor={message}>
          Message
          <input
            key={search.messageId}
            id={message}
            name="messageId"
            defaultValue={search.messageId}
            placeholder="the newest moments"
          />
        </label>
        <label htmlFor={user}>
          For user
          <input key={search.userId} id={user} name="userId" defaultValue={userOf(search)} required />
        </label>
        <button type="submit" disabled={answer.isFetching}>
          Explain
        </button>
      </form>
      {isAsked(search) ? (
        <Explained answer={answer} userId={userOf(search)} />
      ) : (
        <Note>Choose a message, or paste its id.</Note>
      )}
    </Card>
  );
}

function Explained(props: { answer: ReturnType<typeof useExplanation>; userId: string }) {
  const { answer, userId } = props;
  if (answer.error) return <Note error={answer.error} />;
  if (!answer.data) return <Note>Reading …</Note>;
  const { verdict, hops, moments } = answer.data;
  if (moments)
    return moments.length === 0 ? (
      <Note>Nothing happened to this user’s connections lately.</Note>
    ) : (
      <Moments of={moments} />
    );
  return (
    <>
      <p>
        For <b>{userId}</b>: <Mark kind={kindOf(verdict ?? "unknown")}>{words(verdict ?? "unknown")}</Mark>
      </p>
      <ol className="hops">
        {hops?.map(({ hop, verdict: what, ...rest }, index) => (
          <li key={index}>
            <b>{hop}</b> <Mark kind={kindOf(what)}>{words(what)}</Mark>
            <dl>
              {Object.entries(rest).map(([name, value]) => (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd>{told(name, value)}</dd>
                </div>
              ))}
            </dl>
          </li>
        ))}
      </ol>
    </>
  );
}

const TIMES = ["at", "joined", "left"];

/** What a hop says by a name, for people. */
export function told(name: string, value: unknown): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return TIMES.includes(name) ? at(value) : whole(value);
  if (typeof value === "string") return value;
  const parts = Object.entries(value ?? {}).map(([part, one]) => `${part} ${told(part, one)}`);
  return parts.length === 0 ? "–" : parts.join(", ");
}

function Moments({ of: moments }: { of: NonNullable<Explanation["moments"]> }) {
  return (
    <ol className="hops">
      {moments.map((moment, index) => (
        <li key={index}>
          <b>{words(moment.what)}</b> {at(moment.at)}{" "}
          {moment.room !== undefined && <code>{moment.room}</code>}
        </li>
      ))}
    </ol>
  );
}
