import { useCallback, useEffect, useMemo, useState } from "react";
import type { Member, Presence, RosterChanged, Subscribed } from "@tidings/client";
import type { HookSocket } from "./socket.ts";

/** Somebody who is there. */
export interface OnlineUser {
  userId: string;
  name?: string;
  status: "online" | "away" | "offline";
  lastSeen?: string;
}

type PresenceStatus = OnlineUser["status"];
/** What a server answers; the two styles there are. */
type Answer = { ok?: boolean; success?: boolean; error?: unknown } & Record<string, unknown>;
type People = ReadonlyMap<string, OnlineUser>;

const ANSWER_MS = 5_000;
const NOBODY: People = new Map();

/**
 * Who is in a project. Joins it while the component is mounted, comes back to it after each reconnect, and leaves it.
 *
 * Where the server has no `project:join`, it is the room `project:ID` as any other, with the roster of its kind.
 */
export function usePresence({ socket, projectId }: { socket: HookSocket; projectId: string | undefined }) {
  const [people, setPeople] = useState<People>(NOBODY);
  useEffect(() => {
    if (!socket || projectId === undefined) return;
    const visit = new Visit(socket, projectId, setPeople);
    return () => visit.end();
  }, [socket, projectId]);

  const updatePresence = useCallback(
    (status: PresenceStatus) => {
      if (socket) void sayPresence(socket, status, projectId);
    },
    [socket, projectId],
  );
  const onlineUsers = useMemo(
    () => [...people.values()].filter(({ status }) => status !== "offline"),
    [people],
  );
  return { onlineUsers, onlineCount: onlineUsers.length, updatePresence };
}

type Io = NonNullable<HookSocket>;

async function ask(socket: Io, name: string, data: object): Promise<Answer> {
  return (await socket.timeout(ANSWER_MS).emitWithAck(name, data)) as Answer;
}

const isYes = (answer: Answer) => answer.ok === true || answer.success === true;

async function sayPresence(socket: Io, status: PresenceStatus, projectId: string | undefined): Promise<void> {
  try {
    const said = await ask(socket, "presence:update", {
      status,
      ...(projectId === undefined ? {} : { projectId }),
    });
    if (!isYes(said))
      await ask(socket, "presence:set", { status: status === "offline" ? "invisible" : status });
  } catch {
    // Without an answer the connection is gone, and with it what was said of this one.
  }
}

/** One stay in a project, from mounting to unmounting. */
class Visit {
  readonly #socket: Io;
  readonly #projectId: string;
  readonly #show: (people: People) => void;
  #people = new Map<string, OnlineUser>();
  /** The last change that is known; whoever misses a number has missed a change. */
  #version: number | undefined;
  #over = false;
  /** How it was said last that somebody is here. */
  #said: "project:join" | "subscribe" | undefined;
  readonly #heard: [name: string, listener: (data: never) => void][];

  constructor(socket: Io, projectId: string, show: (people: People) => void) {
    this.#socket = socket;
    this.#projectId = projectId;
    this.#show = show;
    this.#heard = [
      ["connect", () => void this.#join()],
      ["disconnect", () => this.#replace([])],
      ["project:user:joined", (user: OnlineUser & { projectId: string }) => this.#came(user)],
      ["project:user:left", (user: { projectId: string; userId: string }) => this.#went(user)],
      ["presence:changed", (user: OnlineUser) => this.#changed(user)],
      ["tidings:presence", (change: RosterChanged) => this.#roster(change)],
    ];
    for (const [name, listener] of this.#heard) socket.on(name, listener as () => void);
    // Under StrictMode a first visit ends at once, and nothing should have been said in it.
    setTimeout(() => void this.#join(), 0);
  }

  end(): void {
    this.#over = true;
    for (const [name, listener] of this.#heard) this.#socket.off(name, listener as () => void);
    this.#show(NOBODY);
    this.#leave();
  }

  get #room(): string {
    return `project:${this.#projectId}`;
  }

  async #join(): Promise<void> {
    if (this.#over || !this.#socket.connected) return;
    try {
      this.#said = "project:join";
      this.#version = undefined;
      const answer = await ask(this.#socket, "project:join", { projectId: this.#projectId });
      if (this.#over) return;
      if (isYes(answer)) return await this.#read();
      this.#said = "subscribe";
      const subscribed = await ask(this.#socket, "subscribe", { room: this.#room });
      if (!isYes(subscribed)) return;
      const { presence } = subscribed as unknown as Subscribed;
      this.#version = presence?.version;
      this.#replace(presence?.members ?? []);
    } catch {
      // Nobody answered: the connection is gone, and `connect` comes again.
    }
  }

  /** Takes back what was said last, answered or not: the server does one behind the other, as a newer visit does. */
  #leave(): void {
    if (!this.#socket.connected) return;
    if (this.#said === "subscribe") this.#socket.emit("unsubscribe", { room: this.#room });
    if (this.#said === "project:join") this.#socket.emit("project:leave", { projectId: this.#projectId });
  }

  async #read(): Promise<void> {
    const answer = await ask(this.#socket, "presence", { room: this.#room });
    if (isYes(answer)) this.#replace((answer as unknown as Presence).members ?? []);
  }

  #replace(members: Member[]): void {
    this.#people = new Map();
    members.forEach((member) => this.#put(member));
    this.#told();
  }

  #put({ userId, name, status, lastSeen }: Member): void {
    if (userId == null) return;
    this.#people.set(userId, {
      userId,
      ...(name == null ? {} : { name }),
      status: status === "away" || status === "offline" ? status : "online",
      ...(lastSeen == null ? {} : { lastSeen }),
    });
  }

  #came(user: OnlineUser & { projectId: string }): void {
    if (user.projectId !== this.#projectId) return;
    this.#put(user);
    this.#told();
  }

  #went({ projectId, userId }: { projectId: string; userId: string }): void {
    if (projectId === this.#projectId && this.#people.delete(userId)) this.#told();
  }

  #changed(user: OnlineUser): void {
    const known = this.#people.get(user.userId);
    if (!known) return;
    this.#put({ ...known, ...user });
    this.#told();
  }

  #roster({ room, version, joined, changed, left, reread }: RosterChanged): void {
    if (room !== this.#room) return;
    const known = this.#version ?? version - 1;
    if (version <= known) return;
    this.#version = version;
    if (reread === true || version !== known + 1) return void this.#read().catch(() => {});
    for (const member of [...(joined ?? []), ...(changed ?? [])]) this.#put(member);
    for (const { userId } of left ?? []) if (userId != null) this.#people.delete(userId);
    this.#told();
  }

  #told(): void {
    if (!this.#over) this.#show(new Map(this.#people));
  }
}
