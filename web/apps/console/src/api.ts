import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useClient } from "@tidings/react";
import { useProved } from "./confirm.tsx";

/** How often lists are read again while somebody looks at them, in milliseconds. */
const LIVELY_MS = 5_000;

/** Reads from the server's API; `everyMs` again and again, `once` what never changes. */
export function useRead<Answer>(
  path: string,
  { everyMs, enabled = true, once = false }: { everyMs?: number; enabled?: boolean; once?: boolean } = {},
) {
  const client = useClient();
  return useQuery({
    queryKey: [path],
    queryFn: ({ signal }) => client.request(path, { signal }) as Promise<Answer>,
    enabled,
    refetchInterval: everyMs ?? false,
    staleTime: once ? "static" : 0,
  });
}

/** How a list goes on, and how often it is read again. */
interface Paged<Row> {
  /** The parameter that says where the next page begins. */
  cursor?: string;
  everyMs?: number | false;
  /** What that is behind a row, where pages say no more than that there is another. */
  last?: (row: Row) => string;
}

/** A list that the server answers page by page. */
export function usePages<Row>(
  path: string,
  rows: string,
  query: Record<string, string>,
  { cursor = "after", everyMs = LIVELY_MS, last }: Paged<Row> = {},
) {
  const client = useClient();
  const asked = Object.entries(query).filter(([, value]) => value !== "");
  const pages = useInfiniteQuery({
    queryKey: [path, asked],
    queryFn: async ({ pageParam, signal }) => {
      const search = new URLSearchParams([...asked, ...(pageParam === "" ? [] : [[cursor, pageParam]])] as [
        string,
        string,
      ][]);
      return (await client.request(`${path}?${search}`, { signal })) as Record<string, unknown> & {
        next?: string | number | null;
        more?: boolean;
      };
    },
    initialPageParam: "",
    getNextPageParam: (page) => {
      const end = page.more && last ? (page[rows] as Row[]).at(-1) : undefined;
      return page.next == null ? end && last?.(end) : String(page.next);
    },
    refetchInterval: everyMs,
    placeholderData: (before) => before,
  });
  return { ...pages, rows: (pages.data?.pages ?? []).flatMap((page) => page[rows] as Row[]) };
}

/** What is asked where the server does not say yes to something before it knows who sits there. */
const WHO = "This lets somebody in. Give your password again.";

/** Asks the server to do something; lists are read again behind it. */
export function useAct<Body extends object | undefined = undefined>(path: string, method = "POST") {
  const client = useClient();
  const queries = useQueryClient();
  const proved = useProved(WHO);
  return useMutation({
    mutationFn: (body: Body) =>
      proved(() => client.request(path, { method, body: JSON.stringify(body ?? {}) })),
    onSettled: () => queries.invalidateQueries(),
  });
}

/** Whether an app is mounted in this server; `undefined` while that is not known. */
export function useMounted(name: string): boolean | undefined {
  const manifests = useRead<{ apps: { name: string }[] }>("/api/apps");
  return manifests.data?.apps.some((app) => app.name === name);
}

/** Answers of the admin API, as far as they are shown. */
export interface Overview {
  at: string;
  node?: { id: string; name: string; version: string; startedAt: string; uptimeMs: number };
  connections: {
    total: number;
    websocket: number;
    polling: number;
    plain: number;
    strangers?: number;
    byNamespace: Record<string, number>;
  };
  throughput?: { published: number; delivered: number; bytes: number; writes: number };
  latency?: { p50Ms: number | null; p95Ms: number | null; p99Ms: number | null; samples: number };
  memory: {
    residentBytes?: number | null;
    capBytes?: number | null;
    bufferedBytes: number;
    trend?: { bytesPerHour: number; rising: boolean; fullInHours: number | null } | null;
  };
  rooms: number;
  refused?: { publications: number; dropped: number };
  shards?: {
    index: number;
    connections: number;
    delivered: number;
    bufferedBytes: number;
    cpuPercent: number | null;
  }[];
  health?: { status: string; parts: { name: string; status: string }[] };
  alerts?: { kind: string; level: string; message: string; value?: number; since: string }[];
}

export interface OverviewAnswer {
  scope: "server" | "organisation";
  overview: Overview;
  history: { everyMs: number; fields: string[]; points: (number | null)[][] };
}

/** How much was used by minute, or by hour: what stands in each row, and the rows, the oldest first. */
export interface UsageHistory {
  everyMs: number;
  kept: number;
  fields: string[];
  points: number[][];
}

export interface BusyUser {
  userId: string;
  name: string | null;
  org: string;
  connections: number;
  said: number;
}

export interface Usage {
  scope: "server" | "organisation";
  at: string;
  /** Nothing for one organisation. */
  history: { minutes: UsageHistory; hours: UsageHistory } | null;
  rooms: {
    since: string;
    rows: { room: string; org: string; kind: string; events: number; members: number }[];
  } | null;
  users: {
    connected: number;
    countedAtMost: number;
    connectionsLeftOut: number;
    byConnections: BusyUser[];
    byEvents: BusyUser[];
  };
}

export interface RoomRow {
  room: string;
  org: string;
  kind: string;
  keep: string;
  members: number;
  kept: number | null;
  bytes: number | null;
  position: { epoch: string; offset: number } | null;
  eventsPerSecond: number | null;
}

export interface SocketRow {
  id: string;
  userId: string | null;
  name: string | null;
  org: string;
  transport: string;
  namespace: string;
  since: string | null;
  rooms: { count: number; names: string[] };
  bytesBehind: number;
  messagesBehind: number;
  address: string;
  shard: number;
}

export interface UserRow {
  userId: string;
  name: string | null;
  org: string;
  connections: number;
  devices: {
    socketId: string;
    transport: string;
    namespace: string;
    since: string | null;
    address: string;
  }[];
}

/** An entry of the audit log; what is not known is `null`. */
export interface AuditRow {
  id: string;
  /** Its number in the chain, for those who see all of it. */
  seq?: number;
  at: string;
  actorKind: string;
  actor: string | null;
  org: string | null;
  address: string | null;
  action: string;
  object: string | null;
  result: string;
  reason: string | null;
}

export interface KeyRow {
  prefix: string;
  name: string;
  scopes: string[];
  createdAt: string;
  expiresAt?: string;
  lastUsedAt?: string;
  revokedAt?: string;
}

export interface AccountRow {
  id: string;
  email: string;
  name: string;
  roles: string[];
  emailVerified: boolean;
  status: string;
  createdAt: string;
  secondFactor: boolean;
}

/** A message to a user that nobody acknowledged. */
export interface LetterRow {
  messageId: string;
  userId: string;
  room: string;
  event: string;
  reason: string;
  tries: number;
  diedAt: string;
  redriven: number;
}
