import { useSyncExternalStore } from "react";
import { claimsOf, Client, holderOf, refreshing, Refusal, type GetToken, type Tokens } from "@tidings/client";

/**
 * Whose console this is: by password, with tokens that renew, or by a token that was pasted.
 *
 * It is kept for this tab alone and until it is closed, so that loading the page again does not end it.
 */
type Kept = { by: "password"; tokens: Tokens } | { by: "token"; token: string };

/** Somebody who has signed in. */
export interface SignedIn {
  client: Client;
  userId: string;
  org: string;
  /** Whether the server takes whoever it is for a server or an administrator; what may be done is for it to say. */
  isServer: boolean;
}

const PLACE = "tidings:sign-in";
let current: SignedIn | undefined = restore();
const watchers = new Set<() => void>();

/** Who has signed in here, or nobody. */
export function useSession(): SignedIn | undefined {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => current,
  );
}

/** The same, outside of components. */
export const session = () => current;

/** Signs in with e-mail address and password; throws a `Refusal`. */
export async function signInByPassword(email: string, password: string): Promise<void> {
  const visitor = new Client({ url: location.origin });
  const body = JSON.stringify({ email, password });
  begin({
    by: "password",
    tokens: (await visitor.request("/api/auth/login", { method: "POST", body })) as Tokens,
  });
}

/** Signs in with a token, if the server takes it; throws a `Refusal`. */
export async function signInByToken(token: string): Promise<void> {
  const visitor = new Client({ url: location.origin, token });
  // Whoever may not list rooms is known all the same; who is not known at all is refused.
  await visitor.request("/api/rooms").catch((error: unknown) => {
    if (!(error instanceof Refusal) || error.code !== "forbidden") throw error;
  });
  begin({ by: "token", token });
}

/** Forgets who has signed in, here and, as far as it can be reached, at the server. */
export function signOut(): void {
  const leaving = current;
  const kept = read();
  become(undefined);
  if (leaving && kept?.by === "password") {
    const body = JSON.stringify({ refreshToken: kept.tokens.refreshToken });
    // The tokens are forgotten here whatever the server says.
    void leaving.client.request("/api/auth/logout", { method: "POST", body }).catch(() => {});
  }
  leaving?.client.disconnect();
}

function begin(kept: Kept): void {
  sessionStorage.setItem(PLACE, JSON.stringify(kept));
  become(open(kept));
}

function become(next: SignedIn | undefined): void {
  current = next;
  if (!next) sessionStorage.removeItem(PLACE);
  watchers.forEach((watcher) => watcher());
}

function restore(): SignedIn | undefined {
  const kept = read();
  return kept && open(kept);
}

function read(): Kept | undefined {
  try {
    return (JSON.parse(sessionStorage.getItem(PLACE) ?? "null") as Kept | null) ?? undefined;
  } catch {
    return undefined;
  }
}

function open(kept: Kept): SignedIn {
  const first = kept.by === "token" ? kept.token : kept.tokens.accessToken;
  const holder = holderOf(first) ?? "default/unknown";
  const org = holder.slice(0, holder.indexOf("/"));
  const client: Client = new Client({
    url: location.origin,
    token: tokenOf(kept, () => current?.client === client),
    share: `${holder}:${rightsOf(kept)}`,
  });
  client.connect();
  return { client, org, userId: holder.slice(org.length + 1), isServer: isServer(first) };
}

function isServer(token: string): boolean {
  const { scope = "", roles = [] } = (claimsOf(token) ?? {}) as { scope?: string; roles?: string[] };
  return scope.split(" ").some((one) => one === "publish" || one === "admin") || roles.includes("admin");
}

/** Tabs share a connection if they may do the same on it: a pasted token may have other rights than an account. */
function rightsOf(kept: Kept): string {
  return kept.by === "token" ? kept.token.slice(-12) : "password";
}

/** Who has signed out may still need a token, to say so: what comes of that is not kept, and ends nobody else's session. */
function tokenOf(kept: Kept, isCurrent: () => boolean): GetToken {
  if (kept.by === "token") return () => kept.token;
  const renewed = refreshing(location.origin, kept.tokens, (tokens) => {
    if (isCurrent()) sessionStorage.setItem(PLACE, JSON.stringify({ by: "password", tokens }));
  });
  return async (asked) => {
    try {
      return await renewed(asked);
    } catch (error) {
      if (error instanceof Refusal && error.code === "unauthorized" && isCurrent()) signOut();
      throw error;
    }
  };
}
