import { MutationCache, QueryCache, QueryClient, type Query } from "@tanstack/react-query";
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
  /** What was read for this one, and for nobody else. */
  queries: QueryClient;
  userId: string;
  /** What others see; the id where there is no name. */
  name: string | undefined;
  org: string;
  /** Whether the server takes whoever it is for a server or an administrator; what may be done is for it to say. */
  isServer: boolean;
  /** The same, for an administrator. */
  isAdmin: boolean;
  /** The same, for who sees how the server is and who is connected: administrators, and operators. */
  watches: boolean;
}

const PLACE = "tidings:sign-in";
/** With these the server says that a sign-in is good no more. */
const OVER = ["unauthorized", "token_expired"];
/** With what a provider has sent somebody here; read once, before anything else looks at the address. */
const sent = sentHere();
/**
 * How it goes with whoever was sent here by a provider: they are being signed in, this is why not, or it takes the code of
 * their second factor.
 */
let arrival: { refused?: string; asks?: (second: string) => Promise<void> } | undefined;
let current: SignedIn | undefined = restore();
/** Whoever was the last here did not sign out: the server takes the sign-in no more. */
let ended = false;
const watchers = new Set<() => void>();

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** Who has signed in here, or nobody. */
export const useSession = () => useSyncExternalStore(watch, () => current);

/** How it goes with whoever was sent here by a provider, as long as nobody is signed in. */
export const useArrival = () => useSyncExternalStore(watch, () => arrival);

/** Whether nobody is signed in because a sign-in has ended by itself. */
export const useHasEnded = () => useSyncExternalStore(watch, () => ended);

/** The same, outside of components. */
export const session = () => current;

/**
 * Signs in with e-mail address and password, with the organisation if there is one to say, and with the code of a second
 * factor if it was asked for; throws a `Refusal`.
 */
export async function signInByPassword(
  email: string,
  password: string,
  org: string,
  code = "",
): Promise<void> {
  const visitor = new Client({ url: location.origin });
  // Who says no organisation is of the one that everybody is in.
  const more = { ...(org === "" ? {} : { org }), ...(code === "" ? {} : { code }) };
  const body = JSON.stringify({ email, password, ...more });
  begin({
    by: "password",
    tokens: (await visitor.request("/api/auth/login", { method: "POST", body })) as Tokens,
  });
}

/** Somebody at whom one may sign in, by the name it has in paths and the one people know. */
export interface Provider {
  name: string;
  label: string;
}

let providers: Promise<Provider[]> | undefined;

/** At whom one may sign in here, which is asked once; nobody while the server does not say. */
export function providersHere(): Promise<Provider[]> {
  providers ??= new Client({ url: location.origin }).request("/api/auth/providers").then(
    (answer) => (answer as { providers: Provider[] }).providers,
    () => {
      providers = undefined;
      return [];
    },
  );
  return providers;
}

/** Leaves for a provider, which sends one back to this page. */
export function signInAt({ name }: Provider): void {
  const back = encodeURIComponent(location.pathname + location.search);
  location.assign(`/api/auth/oidc/${encodeURIComponent(name)}/start?returnTo=${back}`);
}

/** What a provider's sign-in came back with. Neither stays in the address bar: a code is a secret, and good once. */
function sentHere(): { code: string | null; error: string | null } {
  const address = new URL(location.href);
  const [code, error] = ["code", "error"].map((name) => address.searchParams.get(name)) as [
    string | null,
    string | null,
  ];
  if (code === null && error === null) return { code, error };
  address.searchParams.delete("code");
  address.searchParams.delete("error");
  history.replaceState(history.state, "", address);
  return { code, error };
}

/** Why a provider has sent somebody back without a code. What else stands in the address anybody can have written. */
const SENT_BACK: Record<string, string> = {
  forbidden: "The provider did not let you in, or nobody with that account may sign in here.",
  unauthorized: "What the provider said of you is not valid. Try again.",
  unavailable: "The provider cannot be asked now. Try again in a moment.",
};

/** Signs in whoever a provider has sent here; who is signed in stays so. */
export async function arrive({ code, error } = sent): Promise<void> {
  if (current) return;
  if (code === null) {
    if (error === null) return;
    const known = Object.hasOwn(SENT_BACK, error) ? SENT_BACK[error] : undefined;
    return come({ refused: known ?? "Signing in at the provider did not work." });
  }
  come({});
  await exchange(code).catch((reason: unknown) => {
    if (reason instanceof Refusal && reason.code === "second_factor")
      return come({ asks: (second) => exchange(code, second) });
    const why = reason instanceof Refusal ? reason.message : "the server does not answer";
    come({ refused: `Signing in at the provider did not work: ${why}.` });
  });
}

/** Signs in with what a provider's sign-in came back with, and with the code of a second factor if it was asked for. */
async function exchange(code: string, secondCode?: string): Promise<void> {
  const body = JSON.stringify({ code, secondCode });
  const visitor = new Client({ url: location.origin });
  const tokens = (await visitor.request("/api/auth/oidc/exchange", { method: "POST", body })) as Tokens;
  // From here on it is as with a password.
  if (!current) begin({ by: "password", tokens });
  come(undefined);
}

function come(next: typeof arrival): void {
  arrival = next;
  watchers.forEach((watcher) => watcher());
}

/** Signs in with a token, if the server takes it; throws a `Refusal`. */
export async function signInByToken(token: string): Promise<void> {
  await prove(new Client({ url: location.origin, token }));
  begin({ by: "token", token });
}

/** Throws a `Refusal` if the server does not know whose a client is. */
async function prove(client: Client): Promise<void> {
  // Whoever may not list rooms is known all the same; who is not known at all is refused.
  await client.request("/api/rooms").catch((error: unknown) => {
    if (!(error instanceof Refusal) || error.code !== "forbidden") throw error;
  });
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

/** Ends a sign-in that the server takes no more: nothing is asked any more with a token that is refused. */
function end(client: Client): void {
  if (current?.client !== client) return;
  become(undefined, true);
  client.disconnect();
}

function begin(kept: Kept): void {
  sessionStorage.setItem(PLACE, JSON.stringify(kept));
  become(open(kept));
}

function become(next: SignedIn | undefined, hasEnded = false): void {
  current?.queries.clear();
  current = next;
  arrival = undefined;
  ended = hasEnded;
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
  const refused = (error: unknown) => {
    if (error instanceof Refusal && OVER.includes(error.code)) end(client);
  };
  const client: Client = new Client({
    url: location.origin,
    token: tokenOf(kept, () => current?.client === client, refused),
    share: `${holder}:${kindOf(kept)}`,
  });
  const queries = queriesOf(refused);
  client.watch(() => {
    const { status, error } = client.state;
    if (status === "connected") void readAgain(queries);
    if (status !== "closed") return;
    refused(error);
    // Not every close says whether the sign-in is good still, nor is it told to tabs that share the connection.
    if (current?.client === client) void prove(client).catch(refused);
  });
  client.connect();
  return {
    client,
    queries,
    org,
    userId: holder.slice(org.length + 1),
    name: nameIn(first),
    ...rightsOf(org, first),
  };
}

/** What a token lets its holder do. */
function rightsOf(org: string, token: string): Pick<SignedIn, "isServer" | "isAdmin" | "watches"> {
  return {
    isServer: says(token, ["publish", "admin"]),
    isAdmin: says(token, ["admin"]),
    // Who runs the server belongs to the organisation that everybody is in.
    watches: says(token, ["admin"]) || (org === "default" && has(token, "operator")),
  };
}

/** Goes on with a token that may say something else of who has signed in than the one before: roles come and go. */
function goOn(token: string): void {
  if (!current) return;
  current = { ...current, name: nameIn(token), ...rightsOf(current.org, token) };
  watchers.forEach((watcher) => watcher());
}

function queriesOf(refused: (error: unknown) => void): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache({ onError: refused }),
    mutationCache: new MutationCache({ onError: refused }),
    defaultOptions: {
      queries: {
        // What the server refuses it will refuse again; what did not reach it is tried for half a minute before it says so.
        retry: (failures, error) => failures < 5 && !(error instanceof Refusal && !error.retryable),
        refetchOnWindowFocus: false,
      },
    },
  });
}

/** Reads at once what could not be read while the server was away; it may have been given up, or be waited with. */
async function readAgain(queries: QueryClient): Promise<void> {
  const failed = queries.getQueryCache().findAll({
    type: "active",
    predicate: ({ state }) => {
      const why = state.error ?? state.fetchFailureReason;
      return why !== null && !(why instanceof Refusal && !why.retryable);
    },
  });
  const predicate = (query: Query) => failed.includes(query);
  await queries.cancelQueries({ predicate });
  await queries.refetchQueries({ predicate });
}

/** Whether a token has one of these scopes, or the role that may do everything. */
function says(token: string, scopes: string[]): boolean {
  const { scope = "" } = (claimsOf(token) ?? {}) as { scope?: string };
  return scope.split(" ").some((one) => scopes.includes(one)) || has(token, "admin");
}

function nameIn(token: string): string | undefined {
  const { name } = (claimsOf(token) ?? {}) as { name?: string };
  return name || undefined;
}

function has(token: string, role: string): boolean {
  const { roles = [] } = (claimsOf(token) ?? {}) as { roles?: string[] };
  return roles.includes(role);
}

/** Tabs share a connection if they may do the same on it: a pasted token may have other rights than an account. */
function kindOf(kept: Kept): string {
  return kept.by === "token" ? kept.token.slice(-12) : "password";
}

/** Who has signed out may still need a token, to say so: what comes of that is not kept, and ends nobody else's session. */
function tokenOf(kept: Kept, isCurrent: () => boolean, refused: (error: unknown) => void): GetToken {
  if (kept.by === "token") return () => kept.token;
  const renewed = refreshing(location.origin, kept.tokens, (tokens) => {
    if (!isCurrent()) return;
    sessionStorage.setItem(PLACE, JSON.stringify({ by: "password", tokens }));
    goOn(tokens.accessToken);
  });
  return async (asked) => {
    try {
      return await renewed(asked);
    } catch (error) {
      if (isCurrent()) refused(error);
      throw error;
    }
  };
}
