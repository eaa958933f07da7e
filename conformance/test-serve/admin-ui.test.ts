import assert from "node:assert/strict";
import { createReadStream, existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { io, type Socket } from "socket.io-client";
import { ARTIFACTS, browsing } from "../lib/browser.ts";
import { ROOT, type Running } from "../lib/process.ts";
import { mint, startServer, stranger } from "../lib/serve.ts";
import { Inbox, within } from "../lib/wait.ts";

/** The Admin UI as its makers publish it. */
const DIST = join(ROOT, "conformance", "node_modules", "@socket.io", "admin-ui", "ui", "dist");
const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};
/** What Chromium writes when the page asks for fonts and icons elsewhere, which nothing here is let do. */
const ELSEWHERE = /ERR_FAILED|Failed to load resource/;
/** And when the page ends a connection of its own that is just about to upgrade, as after a wrong password. */
const GIVEN_UP = /WebSocket is closed before the connection is established/;

type Event = [name: string, ...args: unknown[]];

let files: Server;
let origin: string;
let server: Running;
const open: Socket[] = [];

/** The page's files, on an origin of their own, as somebody would host them. */
before(async () => {
  files = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://a").pathname;
    const file = join(DIST, path === "/" ? "index.html" : path);
    if (!file.startsWith(DIST) || !existsSync(file)) return void response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => files.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(files.address() as AddressInfo).port}`;
});

after(() => {
  files.close();
});

beforeEach(async () => {
  server = await startServer(["--admin-ui-mode", "development", "--allow-origin", origin]);
});

afterEach(async () => {
  open.splice(0).forEach((socket) => socket.disconnect());
  await server.stop();
});

const administrator = () => mint({ sub: "root", roles: ["admin"] });

/** Waits for an event that fits; figures come all the time, so that silence alone is no bound. */
const told = (heard: Inbox<Event>, what: string, fits: (event: Event) => boolean) =>
  heard.until(fits, what, 20_000);

/** Connects as the page does, and keeps what is heard. */
function asPage(auth: object, options: object = {}): { socket: Socket; heard: Inbox<Event> } {
  const socket = io(`${server.http}/admin`, { forceNew: true, reconnection: false, auth, ...options });
  open.push(socket);
  const heard = new Inbox<Event>();
  socket.onAny((name: string, ...args: unknown[]) => heard.push([name, ...args]));
  return { socket, heard };
}

const connected = (socket: Socket) =>
  within(
    new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("connect_error", reject);
    }),
    "connect",
  );

/** A stock client in a room. */
async function client(room: string): Promise<{ socket: Socket; user: string }> {
  const { id: user, token } = stranger();
  const socket = io(server.http, { forceNew: true, transports: ["websocket"], auth: { token } });
  open.push(socket);
  await connected(socket);
  const joined = (await socket.timeout(20_000).emitWithAck("subscribe", { room })) as { ok: boolean };
  assert.equal(joined.ok, true);
  return { socket, user };
}

for (const transports of [["websocket"], ["polling", "websocket"]]) {
  test(`the page's protocol over ${transports.join(" and ")}: told who comes and goes, and moving them`, async () => {
    const { socket: ann, user } = await client("lobby:1");
    const { socket, heard } = asPage({ username: "token", password: administrator() }, { transports });
    await connected(socket);
    const [, session] = await told(heard, "session", ([name]) => name === "session");
    const [, config] = await told(heard, "config", ([name]) => name === "config");
    assert.deepEqual((config as { supportedFeatures: string[] }).supportedFeatures.sort(), [
      "AGGREGATED_EVENTS",
      "ALL_EVENTS",
      "DISCONNECT",
      "EMIT",
      "JOIN",
      "LEAVE",
      "MDISCONNECT",
      "MJOIN",
      "MLEAVE",
    ]);
    const [, all] = await told(heard, "all_sockets", ([name]) => name === "all_sockets");
    const shown = (all as { id: string; data: { userId: string }; rooms: string[] }[]).find(
      (one) => one.id === ann.id,
    );
    assert.equal(shown?.data.userId, user);
    assert.ok(shown.rooms.includes("lobby:1"));
    const [, stats] = await told(heard, "server_stats", ([name]) => name === "server_stats");
    const { clientsCount, namespaces } = stats as { clientsCount: number; namespaces: object[] };
    assert.equal(clientsCount, 2);
    assert.ok(namespaces.some((one) => JSON.stringify(one) === '{"name":"/admin","socketsCount":1}'));

    socket.emit("join", "/", "lobby:2", ann.id);
    await told(
      heard,
      "what was done",
      ([name, , room, id]) => name === "room_joined" && room === "lobby:2" && id === ann.id,
    );
    const said = within(
      new Promise((resolve) => ann.once("notice", (...args: unknown[]) => resolve(args))),
      "said",
    );
    socket.emit("emit", "/", ann.id, "notice", { level: 1 }, "two");
    assert.deepEqual(await said, [{ level: 1 }, "two"]);
    const heardIn = within(new Promise((resolve) => ann.once("to:room", resolve)), "said in the room");
    socket.emit("emit", "/", "lobby:2", "to:room", { level: 2 });
    assert.deepEqual(await heardIn, { level: 2 });

    const left = within(new Promise((resolve) => ann.once("tidings:left", resolve)), "left");
    socket.emit("leave", "/", "lobby:2", "lobby:2");
    assert.deepEqual(await left, { room: "lobby:2", reason: "forbidden" });
    await told(
      heard,
      "what was done",
      ([name, , room, id]) => name === "room_left" && room === "lobby:2" && id === ann.id,
    );
    const gone = within(new Promise((resolve) => ann.once("disconnect", resolve)), "disconnect");
    socket.emit("_disconnect", "/", false, ann.id);
    assert.equal(await gone, "io server disconnect");
    await told(heard, "what was done", ([name, , id]) => name === "socket_disconnected" && id !== undefined);

    const again = asPage({ sessionId: session });
    await connected(again.socket);
    await told(again.heard, "config", ([name]) => name === "config");
  });
}

test("who is no administrator is told that the credentials are invalid, in the words the page knows", async () => {
  const { token } = stranger();
  for (const auth of [
    { username: "token", password: token },
    { username: "", password: "" },
    { sessionId: "x" },
  ]) {
    await assert.rejects(connected(asPage(auth).socket), { message: "invalid credentials" });
  }
});

const window = browsing();

test("the stock page connects, shows clients and figures, and forgets nothing when it is loaded again", async () => {
  const { socket: ann } = await client("lobby:1");
  const { page, complaints } = window();
  await page.route(/.*/, (route) =>
    new URL(route.request().url()).hostname === "127.0.0.1" ? route.continue() : route.abort(),
  );
  await page.goto(origin);
  const dialog = page.locator(".v-dialog");
  await dialog.getByLabel("Server URL").fill(server.http);
  await dialog.getByLabel("Username").fill("token");
  await dialog.getByLabel("Password").fill("wrong");
  await dialog.getByRole("button", { name: "Connect" }).click();
  await dialog.getByText("Invalid credentials").waitFor({ timeout: 20_000 });
  await dialog.getByLabel("Password").fill(administrator());
  await dialog.getByRole("button", { name: "Connect" }).click();
  await dialog.waitFor({ state: "hidden", timeout: 20_000 });
  const goes = (to: string) => page.locator(`a[href="#/${to}"]`).first().click();
  const shows = (text: string) => page.locator("main").getByText(text).first().waitFor({ timeout: 20_000 });
  await goes("sockets");
  await shows(String(ann.id));
  await page.screenshot({ path: join(ARTIFACTS, "admin-ui-sockets.png") });
  await goes("rooms");
  await shows("lobby:1");
  await goes("servers");
  await shows("Healthy");
  await page.screenshot({ path: join(ARTIFACTS, "admin-ui-servers.png") });
  await page.reload();
  await goes("sockets");
  await shows(String(ann.id));
  await goes("");
  await page.screenshot({ path: join(ARTIFACTS, "admin-ui-dashboard.png") });
  assert.deepEqual(
    complaints.filter((text) => !ELSEWHERE.test(text) && !GIVEN_UP.test(text)),
    [],
  );
});
