/** What a server answers when the answer is no. */
interface RefusalBody {
  code: string;
  message: string;
  retryable?: boolean;
  retryAfterMs?: number | undefined;
  /** Beside the refusal, where an order was refused. */
  ordersRemaining?: number | undefined;
}

/** Why something was not done: by the server, or by this client before the server heard of it. */
export class Refusal extends Error {
  /** A code of docs/protocol.md, such as `forbidden` or `rate_limited`. */
  readonly code: string;
  /** The same may be tried again. */
  readonly retryable: boolean;
  /** Milliseconds to wait before that, if the server says so. */
  readonly retryAfterMs: number | undefined;

  /** How many more orders a room of trading takes of this member, where it refused one. */
  readonly ordersRemaining: number | undefined;

  constructor({ code, message, retryable, retryAfterMs, ordersRemaining }: RefusalBody) {
    super(message);
    this.name = "Refusal";
    this.code = code;
    this.retryable = retryable ?? (code === "unavailable" || code === "rate_limited");
    this.retryAfterMs = retryAfterMs;
    this.ordersRemaining = ordersRemaining;
  }
}

/** What is refused here because nobody answers. */
export const unavailable = (message: string) =>
  new Refusal({ code: "unavailable", message, retryable: true });

/** What went wrong as a refusal: what is none already is that nobody could be asked. */
export const refusalFrom = (error: unknown) =>
  error instanceof Refusal ? error : unavailable((error as Error | undefined)?.message ?? String(error));

/** The refusal an answer holds, whichever of the two styles of the server it has; `undefined` if it is a yes. */
export function refusalIn(answer: unknown): Refusal | undefined {
  if (typeof answer !== "object" || answer === null) return undefined;
  const said = answer as Record<string, unknown>;
  if (said["ok"] === false) {
    const { ordersRemaining } = said as Pick<RefusalBody, "ordersRemaining">;
    return new Refusal({ ...(said["error"] as RefusalBody), ordersRemaining });
  }
  if (said["success"] !== false) return undefined;
  return new Refusal({ code: text(said["code"], "bad_request"), message: text(said["error"], "refused") });
}

const text = (value: unknown, otherwise: string) => (typeof value === "string" ? value : otherwise);
