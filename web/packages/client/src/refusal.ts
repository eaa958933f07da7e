/** What a server answers when the answer is no. */
interface RefusalBody {
  code: string;
  message: string;
  retryable?: boolean;
  retryAfterMs?: number;
}

/** Why something was not done: by the server, or by this client before the server heard of it. */
export class Refusal extends Error {
  /** A code of docs/protocol.md, such as `forbidden` or `rate_limited`. */
  readonly code: string;
  /** The same may be tried again. */
  readonly retryable: boolean;
  /** Milliseconds to wait before that, if the server says so. */
  readonly retryAfterMs: number | undefined;

  constructor({ code, message, retryable, retryAfterMs }: RefusalBody) {
    super(message);
    this.name = "Refusal";
    this.code = code;
    this.retryable = retryable ?? (code === "unavailable" || code === "rate_limited");
    this.retryAfterMs = retryAfterMs;
  }
}

/** What is refused here because nobody answers. */
export const unavailable = (message: string) =>
  new Refusal({ code: "unavailable", message, retryable: true });

/** The refusal an answer holds, whichever of the two styles of the server it has; `undefined` if it is a yes. */
export function refusalIn(answer: unknown): Refusal | undefined {
  if (typeof answer !== "object" || answer === null) return undefined;
  const said = answer as Record<string, unknown>;
  if (said["ok"] === false) return new Refusal(said["error"] as RefusalBody);
  if (said["success"] !== false) return undefined;
  return new Refusal({ code: text(said["code"], "bad_request"), message: text(said["error"], "refused") });
}

const text = (value: unknown, otherwise: string) => (typeof value === "string" ? value : otherwise);
