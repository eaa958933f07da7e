import { closeAll, connected, emitAck, inbox, NEWEST, type Client, type Kind } from "./clients.ts";
import type { Running } from "./process.ts";
import { Inbox } from "./wait.ts";
import { Wire } from "./wire.ts";

/** The answer to a generic command, on any door. */
export interface Ack {
  ok: boolean;
  error?: { code: string; message: string; retryable: boolean; retryAfterMs?: number };
  room?: string;
  epoch?: string;
  offset?: number;
  messageId?: string;
  [key: string]: unknown;
}

/** A room's event as its member hears it. */
export interface RoomEvent {
  event: string;
  data: unknown;
}

/** A signed-in client at one of the server's doors. */
export interface Member {
  command(name: string, body?: object): Promise<Ack>;
  events: Inbox<RoomEvent>;
  /** What `tidings:resumed` or `resumed` says. */
  resumed: Inbox<Record<string, unknown>>;
  /** What `tidings:gap` or `gap` says. */
  gaps: Inbox<Record<string, unknown>>;
  /** Settled once the first connection is gone. */
  ended: Promise<void>;
  close(): void;
}

/** How a member comes in. */
export type Door = (server: Running, token: string) => Promise<Member>;

const wires: Wire[] = [];

/** Closes what the doors have opened. */
export function closeDoors(): void {
  closeAll();
  for (const wire of wires.splice(0)) wire.terminate();
}

/** Comes in by Socket.IO. */
export function bySocketIo(kind: Kind = NEWEST, auth: object = {}): Door {
  return async (server, token) => {
    const client = await connected(kind, server, { auth: { token, gaps: true, ...auth } });
    return socketIoMember(client);
  };
}

/** What everybody of an organisation is told, in whatever rooms they are. */
const UNASKED = ["userOnline", "userOffline"];

function socketIoMember(client: Client): Member {
  const events = new Inbox<RoomEvent>();
  client.onAny((event, data) => {
    if (!event.startsWith("tidings:") && !UNASKED.includes(event)) events.push({ event, data });
  });
  return {
    command: async (name, body = {}) => (await emitAck(client, name, body))[0] as Ack,
    events,
    resumed: firstOf(client, "tidings:resumed"),
    gaps: firstOf(client, "tidings:gap"),
    ended: new Promise((resolve) => client.once("disconnect", () => resolve())),
    close: () => client.disconnect(),
  };
}

function firstOf(client: Client, event: string): Inbox<Record<string, unknown>> {
  const box = new Inbox<Record<string, unknown>>();
  client.on(event, (body: Record<string, unknown>) => box.push(body));
  return box;
}

/** Comes in by Socket.IO, keeping every argument of `event`. */
export async function argumentsOf(
  server: Running,
  token: string,
  event: string,
  auth: object = {},
  options: object = {},
) {
  const client = await connected(NEWEST, server, { ...options, auth: { token, ...auth } });
  return { client, heard: inbox(client, event) };
}

/** A plain message, whatever its type. */
export type Message = Record<string, unknown> & { type: string };

/** Opens the plain protocol's WebSocket without signing in. */
export async function openPlain(
  server: Running,
  query = "",
  headers: Record<string, string> = {},
): Promise<Wire> {
  const wire = await Wire.open(`${server.ws}/ws${query}`, headers);
  wires.push(wire);
  return wire;
}

/** Sends a plain message. */
export function say(wire: Wire, message: object): void {
  wire.send(JSON.stringify(message));
}

/** Waits for the next plain message of a type. */
export async function hear(wire: Wire, type: string): Promise<Message> {
  const isType = (item: string | Buffer) => (JSON.parse(item.toString()) as Message).type === type;
  return JSON.parse((await wire.heard.until(isType, type)).toString()) as Message;
}

/** Comes in by the plain protocol. */
export const byPlain: Door = async (server, token) => {
  const wire = await openPlain(server);
  say(wire, { type: "auth", token });
  await hear(wire, "auth:ok");
  return plainMember(wire);
};

/** Makes a member of a signed-in wire; from here on the wire's messages go to the member's inboxes. */
export function plainMember(wire: Wire): Member {
  const member = {
    events: new Inbox<RoomEvent>(),
    resumed: new Inbox<Record<string, unknown>>(),
    gaps: new Inbox<Record<string, unknown>>(),
  };
  const acks = new Map<number, (ack: Ack) => void>();
  const sort = (item: string | Buffer) => {
    const { type, ...body } = JSON.parse(item.toString()) as Message;
    if (type === "event" && UNASKED.includes(body["event"] as string)) return;
    if (type === "event") member.events.push(body as unknown as RoomEvent);
    else if (type === "resumed") member.resumed.push(body);
    else if (type === "gap") member.gaps.push(body);
    else if (type === "ack") acks.get(body["id"] as number)?.(body as Ack);
  };
  wire.heard.each(sort);
  let last = 0;
  return {
    ...member,
    command: (name, body = {}) => {
      const id = ++last;
      const box = new Inbox<Ack>();
      acks.set(id, ({ id: answered, ...ack }) => {
        if (answered === id) box.push(ack);
      });
      say(wire, { type: name, id, ...body });
      return box.next(`ack of ${name}`);
    },
    ended: wire.ended.then(() => {}),
    close: () => wire.terminate(),
  };
}
