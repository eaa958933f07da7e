import { cleanup, renderHook, waitFor } from "@testing-library/react";
import { useEffect, useLayoutEffect, type ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Client } from "@tidings/client";
import { TidingsProvider, useConnection, useEvent, usePresence, useRoom, useSocket } from "@tidings/react";
import { mint, served, unique } from "../../../testing/server.ts";

const CONFIG = `
[rooms.project]
subscribe = "signed-in"
publish = "signed-in"
presence = "signed-in"
roster = "members"

[presence]
grace_ms = 100
`;
const server = served(["--allow-origin", "http://localhost:3000"], CONFIG);
let client: Client;

beforeEach(() => {
  client = new Client({ url: server.http, token: mint({ sub: unique("user") }) });
  client.connect();
});
afterEach(() => {
  cleanup();
  client.disconnect();
  vi.restoreAllMocks();
});

const provided = ({ children }: { children: ReactNode }) => (
  <TidingsProvider client={client}>{children}</TidingsProvider>
);

/** How often something was said to the server. */
function countSaid(on: Client, name: string): () => number {
  let said = 0;
  on.socket?.onAnyOutgoing((event: string) => void (said += event === name ? 1 : 0));
  return () => said;
}

describe("under StrictMode", () => {
  test("everything here is mounted twice, or the rest would show nothing", () => {
    const seen: string[] = [];
    renderHook(
      () =>
        useEffect(() => {
          seen.push("mounted");
          return () => void seen.push("unmounted");
        }, []),
      { wrapper: provided },
    );
    expect(seen).toEqual(["mounted", "unmounted", "mounted"]);
  });

  test("a room that is mounted twice is subscribed to once, and left once", async () => {
    // Before that nothing could be said, however often it was wanted.
    await waitFor(() => expect(client.state.status).toBe("connected"));
    const subscribed = countSaid(client, "subscribe");
    const unsubscribed = countSaid(client, "unsubscribe");
    const name = `lobby:${unique("strict")}`;
    const heard: unknown[] = [];
    const hook = renderHook(() => useRoom(name, { onEvent: (_, data) => void heard.push(data) }), {
      wrapper: provided,
    });
    await waitFor(() => expect(hook.result.current.live).toBe(true));
    await hook.result.current.publish("said", "once");
    await waitFor(() => expect(heard).toEqual(["once"]));
    expect([subscribed(), unsubscribed()]).toEqual([1, 0]);
    hook.unmount();
    await waitFor(() => expect(unsubscribed()).toBe(1));
    expect(subscribed()).toBe(1);
  });

  test("a provider that makes its own client makes one connection, and ends it", async () => {
    const sub = unique("own");
    const options = { url: server.http, token: mint({ sub }) };
    const ended = vi.spyOn(Client.prototype, "disconnect");
    const wrapper = ({ children }: { children: ReactNode }) => (
      <TidingsProvider options={options}>{children}</TidingsProvider>
    );
    const seen: boolean[] = [];
    const useSeen = () => {
      const { connected } = useConnection();
      useLayoutEffect(() => void seen.push(connected), [connected]);
    };
    const hook = renderHook(useSeen, { wrapper });
    await waitFor(() => expect(seen.at(-1)).toBe(true));
    const before = seen.length;
    expect(ended).not.toHaveBeenCalled();
    const disconnected = await server.post(`/api/users/${sub}/disconnect`, {});
    expect(disconnected).toEqual({ ok: true, disconnected: 1 });
    await waitFor(() => expect(seen.slice(before - 1)).toEqual([true, false, true]));
    hook.unmount();
    await waitFor(async () => {
      expect(await server.post(`/api/users/${sub}/disconnect`, {})).toEqual({ ok: true, disconnected: 0 });
    });
  });

  test("useSocket makes one connection and tells of it once", async () => {
    const sub = unique("socket");
    const token = mint({ sub });
    const told: string[] = [];
    const hook = renderHook(() =>
      useSocket({
        url: server.http,
        token,
        onConnect: () => void told.push("on"),
        onDisconnect: () => void told.push("off"),
      }),
    );
    expect(hook.result.current.state).toEqual({ connected: false, connecting: true, error: null });
    await waitFor(() =>
      expect(hook.result.current.state).toEqual({ connected: true, connecting: false, error: null }),
    );
    expect(hook.result.current.socket?.connected).toBe(true);
    const answered = new Promise((answer) => hook.result.current.emit("ping", {}, answer));
    expect(await answered).toMatchObject({ ok: true });
    expect(await server.post(`/api/users/${sub}/disconnect`, {})).toMatchObject({ disconnected: 1 });
    await waitFor(() => expect(told).toEqual(["on", "off", "on"]));
    hook.result.current.disconnect();
    await waitFor(() => expect(hook.result.current.state.connected).toBe(false));
  });
});

test("useSocket without autoConnect waits, and says why it cannot connect", async () => {
  const errors: string[] = [];
  const options = {
    url: server.http,
    token: "garbage",
    autoConnect: false,
    onError: (error: Error) => void errors.push(error.message),
  };
  const hook = renderHook(() => useSocket(options));
  expect(hook.result.current.state).toEqual({ connected: false, connecting: false, error: null });
  hook.result.current.connect();
  await waitFor(() => expect(hook.result.current.state.error).toBeInstanceOf(Error));
  expect(errors.length).toBeGreaterThan(0);
});

test("useEvent hears with the newest listener, and a change of it subscribes to nothing anew", async () => {
  const subscribed = countSaid(client, "subscribe");
  const name = `lobby:${unique("event")}`;
  const heard: string[] = [];
  const useListening = ({ mark }: { mark: string }) =>
    useEvent(name, "said", (data) => void heard.push(mark + String(data)));
  const hook = renderHook(useListening, { wrapper: provided, initialProps: { mark: "a" } });
  await waitFor(() => expect(client.room(name).state.status).toBe("live"));
  await client.publish(name, "said", 1);
  await waitFor(() => expect(heard).toEqual(["a1"]));
  hook.rerender({ mark: "b" });
  await client.publish(name, "said", 2);
  await waitFor(() => expect(heard).toEqual(["a1", "b2"]));
  expect(subscribed()).toBe(1);
});

test("usePresence joins a project, sees who comes and goes, and comes back to it after a restart", async () => {
  const [me, other, projectId] = [unique("me"), unique("other"), unique("project")];
  const token = mint({ sub: me });
  const hook = renderHook(() => {
    const { socket, state } = useSocket({ url: server.http, token });
    return { ...usePresence({ socket, projectId }), state };
  });
  const online = () => hook.result.current.onlineUsers.map(({ userId }) => userId).sort();
  await waitFor(() => expect(online()).toEqual([me]));
  const guest = new Client({ url: server.http, token: mint({ sub: other }) });
  guest.connect();
  const leave = guest.room(`project:${projectId}`).enter();
  await waitFor(() => expect(online()).toEqual([me, other].sort()));
  expect(hook.result.current.onlineCount).toBe(2);

  hook.result.current.updatePresence("away");
  const mine = () =>
    guest.room(`project:${projectId}`).state.presence?.members.find(({ userId }) => userId === me);
  await waitFor(() => expect(mine()?.status).toBe("away"));
  leave();
  await waitFor(() => expect(online()).toEqual([me]));
  guest.disconnect();

  await server.kill();
  await waitFor(() => expect(hook.result.current.onlineCount).toBe(0));
  await server.start();
  await waitFor(() => expect(online()).toEqual([me]));
}, 120_000);

test("usePresence that missed a change reads who is there, and is right", async () => {
  await waitFor(() => expect(client.state.status).toBe("connected"));
  const projectId = unique("project");
  const socket = client.socket ?? null;
  const hook = renderHook(() => usePresence({ socket, projectId }));
  const online = () => hook.result.current.onlineUsers.map(({ userId }) => userId).sort();
  await waitFor(() => expect(online()).toHaveLength(1));
  const [me = ""] = online();
  const guests = [unique("first"), unique("second")];
  const [first, second] = guests.map((sub) => new Client({ url: server.http, token: mint({ sub }) }));
  const comes = async (guest: Client | undefined) => {
    const told = new Promise((resolve) => socket?.once("tidings:presence", resolve));
    guest?.connect();
    guest?.room(`project:${projectId}`).enter();
    await told;
  };
  // What is told of those who come and go may be left out for who is slow; here the hook does not hear it.
  const ears = socket?.listeners("tidings:presence") ?? [];
  socket?.off("tidings:presence");
  await comes(first);
  for (const ear of ears) socket?.on("tidings:presence", ear);
  await comes(second);
  await waitFor(() => expect(online()).toEqual([me, ...guests].sort()));
  first?.disconnect();
  second?.disconnect();
});

test.each(["project:join", "subscribe"])(
  "usePresence that is unmounted before `%s` is answered is not in the project",
  async (unanswered) => {
    await waitFor(() => expect(client.state.status).toBe("connected"));
    const projectId = unique("project");
    const { socket } = client;
    const said: string[] = [];
    const hook = renderHook(() => usePresence({ socket: socket ?? null, projectId }));
    socket?.onAnyOutgoing((name: string) => {
      said.push(name);
      // It is told of what is on its way out before that is.
      if (name === unanswered) queueMicrotask(() => hook.unmount());
    });
    await waitFor(() => expect(said).toContain(unanswered));
    // With the first everything is answered that was said before, with the second what was said because of that.
    for (let n = 0; n < 2; n += 1) await client.command("/", "ping", {});
    const stats = await client.request(`/api/rooms/project:${projectId}/stats`);
    expect(stats).toMatchObject({ connections: 0 });
  },
);
