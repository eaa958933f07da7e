import type { Refusal } from "./refusal.ts";

/** How far a connection is. `closed` is for good, until `connect` is called again; `error` says why. */
export type Status = "idle" | "connecting" | "connected" | "reconnecting" | "closed";

/** A connection as others see it. */
export interface LinkState {
  status: Status;
  /** What went wrong last, while it is not connected. */
  error: Error | undefined;
  /** Names the connection while there is one: with another name every room has to be joined again. */
  session: string | undefined;
}

/** Something said to the server, with what stands behind the data. */
export interface Question {
  namespace: string;
  name: string;
  args: unknown[];
  /** Milliseconds after which the answer is not waited for any more. */
  timeoutMs: number;
}

/**
 * What came of a question.
 *
 * Called before anything that the server sent behind the answer is handed out, which no promise could promise.
 */
export type Answered = (refusal: Refusal | undefined, reply: unknown) => void;

/** What a link tells its client. */
export interface Hears {
  state(state: LinkState): void;
  event(namespace: string, name: string, args: unknown[]): void;
}

/** A way to the server: a socket of our own, or that of another tab. */
export interface Link {
  connect(): void;
  disconnect(): void;
  ask(question: Question, answered: Answered): void;
  /** Finds out whether the connection lives, and comes back at once if it does not. */
  check(): void;
}
