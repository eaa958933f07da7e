import { io as io484 } from "socket.io-client";
import { io as io454 } from "socket.io-client-454";
import { io as io402 } from "socket.io-client-402";
import { io as io313 } from "socket.io-client-313";
import msgpack from "socket.io-msgpack-parser";
import type { Parser } from "./fixture.ts";
import type { Running } from "./process.ts";
import { Inbox, within } from "./wait.ts";

/** What all the client releases under test have in common; their own types exclude each other. */
export interface Client {
  id: string | undefined;
  connected: boolean;
  recovered?: boolean;
  volatile: Client;
  auth: unknown;
  io: Io;
  connect(): Client;
  disconnect(): Client;
  close(): Client;
  emit(event: string, ...args: unknown[]): Client;
  timeout(ms: number): Client;
  emitWithAck(event: string, ...args: unknown[]): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): Client;
  once(event: string, listener: (...args: never[]) => void): Client;
  off(event?: string): Client;
  onAny(listener: (event: string, ...args: unknown[]) => void): Client;
}

/** The part of a client's manager the tests look at. */
export interface Io {
  engine: {
    transport: { name: string };
    close(): void;
    on(event: string, listener: (...args: never[]) => void): void;
  };
  socket(namespace: string, options?: object): Client;
  on(event: string, listener: (...args: never[]) => void): void;
}

type Connect = (url: string, options: object) => Client;

/** The releases under test; each speaks protocol 5 and is found in the field. */
export const VERSIONS = {
  "4.8.4": io484 as unknown as Connect,
  "4.5.4": io454 as unknown as Connect,
  "4.0.2": io402 as Connect,
  "3.1.3": io313 as Connect,
};
export type Version = keyof typeof VERSIONS;

export const TRANSPORTS = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
};
export type Transport = keyof typeof TRANSPORTS;

/** What a client is made of. */
export interface Kind {
  version: Version;
  transport: Transport;
  parser: Parser;
}

/** The kind used where only the newest release matters. */
export const NEWEST: Kind = { version: "4.8.4", transport: "websocket", parser: "json" };

const opened: Client[] = [];

/** Makes a client with a manager of its own; it connects by itself unless `autoConnect` is false. */
export function open(kind: Kind, server: Running, options: object = {}, namespace = ""): Client {
  const client = VERSIONS[kind.version](server.http + namespace, {
    forceNew: true,
    transports: TRANSPORTS[kind.transport],
    reconnectionDelay: 10,
    reconnectionDelayMax: 50,
    ...(kind.parser === "msgpack" && { parser: msgpack }),
    ...options,
  });
  opened.push(client);
  return client;
}

/** Makes a client and waits until it is connected, and upgraded where that is its kind. */
export async function connected(
  kind: Kind,
  server: Running,
  options: object = {},
  namespace = "",
): Promise<Client> {
  const client = open(kind, server, { ...options, autoConnect: false }, namespace);
  const connecting = connect(client);
  const upgrading = kind.transport === "upgrade" ? upgrade(client) : undefined;
  await connecting;
  await upgrading;
  return client;
}

/** Connects a client and waits until it is. */
export async function connect(client: Client): Promise<void> {
  const done = heard(client, "connect");
  const refused = new Promise<never>((_, reject) => {
    client.once("connect_error", (error: Error) => reject(error));
  });
  client.connect();
  await Promise.race([done, refused]);
  client.off("connect_error");
}

/** Waits until the engine of a client that is connecting has moved to WebSocket. */
export function upgrade(client: Client): Promise<void> {
  return within(new Promise<void>((resolve) => client.io.engine.on("upgrade", resolve)), "upgrade");
}

/** Waits for one event and answers its arguments. */
export function heard(client: Client, event: string, ms?: number): Promise<unknown[]> {
  return within(
    new Promise<unknown[]>((resolve) => {
      client.once(event, (...args: unknown[]) => resolve(args));
    }),
    `event ${event}`,
    ms,
  );
}

/** Collects every `event` of a client, its arguments each time. */
export function inbox(client: Client, event: string): Inbox<unknown[]> {
  const box = new Inbox<unknown[]>();
  client.on(event, (...args: unknown[]) => box.push(args));
  return box;
}

/** Emits with an ack callback and answers what the ack carries. */
export function emitAck(client: Client, event: string, ...args: unknown[]): Promise<unknown[]> {
  return within(
    new Promise<unknown[]>((resolve) => {
      client.emit(event, ...args, (...reply: unknown[]) => resolve(reply));
    }),
    `ack of ${event}`,
  );
}

/** Disconnects every client made so far. */
export function closeAll(): void {
  for (const client of opened.splice(0)) client.disconnect();
}
