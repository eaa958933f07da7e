import { Refusal, refusalIn, refusalFrom } from "./refusal.ts";

/** Where a token comes from: asked at each connect, and before a token ends. `fresh`: a kept one will not do. */
export type GetToken = (asked: { fresh: boolean }) => string | undefined | Promise<string | undefined>;

/** What `POST /api/auth/login` and `/api/auth/refresh` answer. */
export interface Tokens {
  accessToken: string;
  refreshToken: string;
  /** Seconds from the answer on. */
  expiresIn: number;
}

/** A token is renewed so many milliseconds before it ends. */
const EARLY_MS = 30_000;

/**
 * Tokens of a sign-in at the server itself, renewed with its refresh token.
 *
 * A refresh token is good for one use: `kept` is called with each new pair before the next is asked for. Several calls
 * at once wait for one request. It rejects with a `Refusal` of code `unauthorized` once the sign-in is over.
 */
export function refreshing(
  url: string,
  signedIn: Tokens,
  kept: (tokens: Tokens) => void = () => {},
  now: () => number = Date.now,
): GetToken {
  let tokens = signedIn;
  let endsAt = now() + tokens.expiresIn * 1_000;
  let renewing: Promise<string> | undefined;

  const renew = async () => {
    tokens = await refresh(url, tokens.refreshToken);
    endsAt = now() + tokens.expiresIn * 1_000;
    kept(tokens);
    return tokens.accessToken;
  };
  return ({ fresh }) => {
    if (!fresh && now() < endsAt - EARLY_MS) return tokens.accessToken;
    renewing ??= renew().finally(() => (renewing = undefined));
    return renewing;
  };
}

async function refresh(url: string, refreshToken: string): Promise<Tokens> {
  const answer = await postRefresh(url, refreshToken);
  const refusal = refusalIn(answer);
  if (!refusal) return answer as Tokens;
  // Another window was faster; after the wait the server says whether the sign-in still lives.
  if (refusal.code !== "conflict" || refusal.retryAfterMs === undefined) throw refusal;
  await new Promise((resolve) => setTimeout(resolve, refusal.retryAfterMs));
  const later = await postRefresh(url, refreshToken);
  throw (
    refusalIn(later) ?? new Refusal({ code: "unauthorized", message: "the sign-in was renewed elsewhere" })
  );
}

async function postRefresh(url: string, refreshToken: string): Promise<unknown> {
  const request = fetch(new URL("/api/auth/refresh", url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ refreshToken }),
  });
  try {
    return await (await request).json();
  } catch (error) {
    throw refusalFrom(error);
  }
}

/** What a token says; `undefined` if it cannot be read. Nothing is checked: that is the server's part. */
export function claimsOf(token: string): Record<string, unknown> | undefined {
  try {
    const part = token.split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(part.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** Whose a token is, as `ORG/USER`; `undefined` if it cannot be read. */
export function holderOf(token: string): string | undefined {
  const claims = claimsOf(token) ?? {};
  const user = claims["sub"] ?? claims["userId"] ?? claims["id"];
  const org = typeof claims["org"] === "string" ? claims["org"] : "default";
  return typeof user === "string" || typeof user === "number" ? `${org}/${user}` : undefined;
}
