import { readFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client } from "@tidings/client";
import { mint, served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";
import { adminToken, ARTIFACTS, isInTime, LOOKS, openBrowser, Window } from "./browsers.ts";

const server = served(["--demo"]);
let browser: Browser;
let visitor: Client;

beforeAll(async () => {
  browser = await openBrowser();
  visitor = new Client({ url: server.http, token: mint({ sub: "visitor", name: "Vera Visitor" }) });
  visitor.connect();
  visitor.room("lobby:welcome").enter();
  const receipt = { timeoutMs: 100, tries: 1 };
  await server.post("/api/publish", { userId: "nobody", event: "parcel", data: { order: 42 }, receipt });
  await server.post("/api/keys", { name: "A shop", scopes: ["publish"], expiresInDays: 30 });
});
afterAll(async () => {
  visitor.disconnect();
  await browser.close();
});

/** Every page: its path, what it is called in pictures, and what is there once it is whole. */
const PAGES: [path: string, name: string, whole: string][] = [
  ["/", "overview", "Shards"],
  ["/usage", "usage", "lobby:market"],
  ["/rooms", "rooms", "lobby:welcome"],
  ["/rooms/lobby:welcome", "room", "Vera Visitor"],
  ["/sockets", "sockets", "Vera Visitor"],
  ["/users", "users", "Vera Visitor"],
  ["/users/visitor", "user", "lobby:welcome"],
  ["/messages?room=lobby:market", "messages", "tick"],
  ["/dead-letters", "dead-letters", "parcel"],
  ["/accounts", "accounts", "alice@example.com"],
  ["/keys", "keys", "A shop"],
  ["/audit", "audit", "A shop"],
  ["/docs", "docs", "/api/explain"],
  ["/docs?of=sockets", "docs-sockets", "leaderboardUpdate"],
  ["/apps", "apps", "Namespace"],
  ["/leaderboard", "leaderboard", "204 players"],
  ["/matches", "matches", "started"],
  ["/players", "players", "Rating"],
];

for (const [colorScheme, size, width] of LOOKS) {
  test(`every page is whole, fits and can be used by everybody: ${size}, ${colorScheme}`, async () => {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
    try {
      const window = await Window.open(context, server);
      await window.go("/sign-in");
      await window.page.getByRole("heading", { name: "Sign in" }).waitFor();
      await window.page.screenshot({
        path: `${ARTIFACTS}sign-in-${size}-${colorScheme}.png`,
        fullPage: true,
      });
      expect(await window.serious(), "sign-in").toEqual([]);
      await window.signIn("/");
      for (const [path, name, whole] of PAGES) {
        await window.go(path);
        await window.page.locator("#main").getByText(whole).first().waitFor();
        await window.isLive();
        await window.page.screenshot({
          path: `${ARTIFACTS}${name}-${size}-${colorScheme}.png`,
          fullPage: true,
        });
        expect(await window.serious(), name).toEqual([]);
        await window.fits();
      }
      expect(window.complaints).toEqual([]);
    } finally {
      await context.close();
    }
  });
}

test("figures, columns and questions are not cut off in a window of 1280 pixels", async () => {
  const context = await browser.newContext({ viewport: { width: 1_280, height: 800 } });
  const window = await Window.open(context, server);
  const { page } = window;
  const cut = (selector: string) =>
    page
      .locator(selector)
      .evaluateAll((all) =>
        all.filter((it) => it.scrollWidth > it.clientWidth).map((it) => it.textContent.slice(0, 60)),
      );
  await window.signIn("/");
  await page.locator("#main").getByText("Shards").first().waitFor();
  // As wide as it gets.
  await page
    .locator(".tile", { hasText: "Up" })
    .locator("dd")
    .first()
    .evaluate((it) => (it.textContent = "59 min 59 s"));
  expect(await cut(".tile dd")).toEqual([]);
  expect(await cut(".scroll")).toEqual([]);
  await window.go("/usage");
  await page.getByRole("link", { name: "lobby:market" }).waitFor();
  expect(await cut(".scroll")).toEqual([]);
  await window.go("/users");
  const row = page.getByRole("row", { name: /Vera Visitor/ });
  await row.getByRole("button", { name: "Disconnect" }).click();
  await page.getByText("Close every connection of Vera Visitor?").waitFor();
  expect(await cut("dialog[open], dialog[open] p")).toEqual([]);
  await context.close();
});

test("the first load is less than 250 KB, compressed", async () => {
  const window = await Window.open(browser, server);
  const loaded: string[] = [];
  window.page.on("request", (request) => loaded.push(new URL(request.url()).pathname));
  await window.signIn("/");
  await window.page.locator("#main").getByText("Shards").first().waitFor();
  const files = loaded.filter((path) => path.startsWith("/console/") || path === "/");
  const sizes = files.map((path) => {
    const file = path === "/" ? "index.html" : path.slice(1);
    return readFileSync(new URL(`../dist/${file}.gz`, import.meta.url)).length;
  });
  const total = sizes.reduce((sum, size) => sum + size, 0);
  console.log(`${files.length} files, ${total} bytes`);
  expect(files.length).toBeGreaterThan(3);
  expect(total).toBeLessThan(250_000);
  await window.page.close();
});

test("files are kept for ever, the page is asked for again, and neither is sent twice", async () => {
  const page = await fetch(`${server.http}/rooms/lobby:1`, { headers: { "accept-encoding": "br" } });
  expect(page.headers.get("cache-control")).toBe("no-cache");
  expect(page.headers.get("content-security-policy")).toContain("default-src 'self'");
  const script = /src="(\/console\/[^"]+\.js)"/.exec(await page.text())?.[1] ?? "";
  const first = await fetch(server.http + script, { headers: { "accept-encoding": "br" } });
  expect(first.headers.get("content-encoding")).toBe("br");
  expect(first.headers.get("cache-control")).toContain("immutable");
  const headers = { "accept-encoding": "br", "if-none-match": first.headers.get("etag") ?? "" };
  expect((await fetch(server.http + script, { headers })).status).toBe(304);
  expect((await fetch(`${server.http}/api/nothing`)).status).toBe(404);
  expect((await fetch(`${server.http}/nothing`)).status).toBe(404);
  expect(await (await fetch(`${server.http}/host`)).text()).toContain("This machine, live");
});

describe("what is said", () => {
  test("reaches two browsers, and both are right after a crash", async () => {
    const second = await openBrowser();
    const room = `lobby:${unique("crash")}`;
    const windows = [await Window.open(browser, server), await Window.open(second, server)];
    for (const [index, window] of windows.entries())
      await window.signIn(`/messages?room=${room}`, adminToken(`watcher-${index}`));
    await Promise.all(windows.map((window) => window.page.getByText("Nothing was said yet.").waitFor()));
    const late: number[] = [];
    for (let n = 1; n <= 5; n += 1) {
      const seen = await Promise.all(windows.map((window) => window.seesAt(`event-${n}-x`)));
      const began = Date.now();
      await server.publish(room, `event-${n}-x`, { n });
      for (const when of seen) late.push((await when()) - began);
    }
    isInTime("seen after", late, "BROWSER_MS");

    await server.kill();
    await Promise.all(
      windows.map((window) => window.page.locator('.status[data-state="reconnecting"]').waitFor()),
    );
    await server.start();
    for (let n = 6; n <= 8; n += 1) await server.publish(room, `event-${n}-x`, { n });
    const shown = async (window: Window) => window.page.locator(".events summary b").allTextContents();
    const all = [8, 7, 6, 5, 4, 3, 2, 1].map((n) => `event-${n}-x`);
    for (const window of windows) {
      await window.isLive();
      await until(async () => expect(await shown(window)).toEqual(all));
      expect(window.complaints).toEqual([]);
    }
    await Promise.all(windows.map((window) => window.page.close()));
    await second.close();
  });

  test("can be explained for a user from the page", async () => {
    const window = await Window.open(browser, server);
    await window.signIn("/messages?room=lobby:welcome", adminToken("curious"));
    // The server was killed before: nothing is sent to who is not back yet.
    await until(() => expect(visitor.room("lobby:welcome").state.status).toBe("live"));
    const { messageId } = (await server.publish("lobby:welcome", "said", { text: "explain me" })) as {
      messageId: string;
    };
    await window.page.getByLabel("Message").fill(messageId);
    await window.page.getByLabel("For user").fill("visitor");
    await window.page
      .locator("form", { hasText: "For user" })
      .getByRole("button", { name: "Explain" })
      .click();
    await window.page.locator(".hops").getByText("accepted").first().waitFor();
    await window.page.getByText("sent", { exact: true }).first().waitFor();
    await window.page.close();
  });
});

test("tabs of one browser share a connection, and when the one that has it is closed another goes on", async () => {
  const context = await browser.newContext();
  const user = unique("sharer");
  const room = `lobby:${unique("tabs")}`;
  const tabs = [await Window.open(context, server), await Window.open(context, server)] as const;
  const token = adminToken(user);
  for (const tab of tabs) await tab.signIn(`/messages?room=${room}`, token);
  await Promise.all(tabs.map((tab) => tab.page.getByText("Nothing was said yet.").waitFor()));
  const members = async () =>
    (
      (await (
        await fetch(`${server.http}/api/rooms/${room}/stats`, {
          headers: { authorization: `Bearer ${adminToken()}` },
        })
      ).json()) as { connections: number }
    ).connections;
  expect(await members()).toBe(1);
  await server.publish(room, "first-event", 1);
  await Promise.all(tabs.map((tab) => tab.page.getByText("first-event").waitFor()));
  await tabs[0].page.close();
  await server.publish(room, "second-event", 2);
  await tabs[1].page.getByText("second-event").waitFor();
  await server.publish(room, "third-event", 3);
  await tabs[1].page.getByText("third-event").waitFor();
  expect(await tabs[1].page.locator(".events summary b").allTextContents()).toEqual([
    "third-event",
    "second-event",
    "first-event",
  ]);
  // That of the tab that is closed ends when the server hears of it.
  await until(async () => expect(await members()).toBe(1));
  await context.close();
});

test("a tab that was put to sleep while it had the connection is replaced by one that is awake", async () => {
  const context = await browser.newContext();
  const room = `lobby:${unique("frozen")}`;
  const [first, second] = [await Window.open(context, server), await Window.open(context, server)];
  const token = adminToken(unique("sleeper"));
  await first.signIn(`/messages?room=${room}`, token);
  await second.signIn(`/messages?room=${room}`, token);
  await second.page.getByText("Nothing was said yet.").waitFor();
  const devtools = await context.newCDPSession(first.page);
  await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
  await server.publish(room, "said-while-frozen", 1);
  await second.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await second.page.getByText("said-while-frozen").waitFor();
  await devtools.send("Page.setWebLifecycleState", { state: "active" });
  await server.publish(room, "said-afterwards", 2);
  for (const tab of [first, second]) {
    await tab.page.getByText("said-afterwards").waitFor();
    expect(await tab.page.locator(".events summary b").allTextContents()).toEqual([
      "said-afterwards",
      "said-while-frozen",
    ]);
  }
  await context.close();
});

describe("signing in", () => {
  test("works with a password, survives loading the page again, and ends with signing out", async () => {
    const window = await Window.open(browser, server);
    await window.go("/rooms");
    await window.page.getByLabel("E-mail address").fill("alice@example.com");
    await window.page.getByLabel("Password").fill("not this one");
    await window.page.getByRole("button", { name: "Sign in" }).click();
    await window.page
      .getByRole("alert")
      .filter({ hasText: /password/ })
      .waitFor();
    await window.page.getByLabel("Password").fill("password123");
    await window.page.getByRole("button", { name: "Sign in" }).click();
    await window.isLive();
    await window.page.getByText("This is for administrators.").waitFor();
    await window.page.reload();
    await window.isLive();
    await window.page.getByRole("button", { name: "Sign out" }).click();
    await window.page.getByRole("heading", { name: "Sign in" }).waitFor();
    await window.page.reload();
    await window.page.getByRole("heading", { name: "Sign in" }).waitFor();
    await window.page.close();
  });

  test("with a token that is not taken says so", async () => {
    const window = await Window.open(browser, server);
    await window.go("/");
    await window.page.getByLabel("Token").fill("garbage");
    await window.page.getByRole("button", { name: "Use the token" }).click();
    await window.page.getByRole("alert").filter({ hasText: /token/ }).waitFor();
    await window.page.close();
  });
});

test("an administrator takes somebody out of a room, and closes a connection", async () => {
  const name = unique("Guest");
  const room = `lobby:${unique("door")}`;
  const guest = new Client({ url: server.http, token: mint({ sub: name, name }) });
  guest.connect();
  guest.room(room).enter();
  await until(() => expect(guest.room(room).state.status).toBe("live"));
  const window = await Window.open(browser, server);
  await window.signIn(`/rooms/${room}`);
  const confirm = async (label: string) => {
    await window.page
      .getByRole("row", { name: new RegExp(name) })
      .getByRole("button", { name: label })
      .first()
      .click();
    await window.page.getByRole("dialog").getByRole("button", { name: label }).click();
  };
  await confirm("Kick");
  await until(() => expect(guest.room(room).state.status).toBe("left"));
  await window.go("/users");
  const { session } = guest.state;
  await confirm("Disconnect");
  await until(() => expect(guest.state.session).not.toBe(session));
  guest.disconnect();
  await window.page.close();
});

test("an administrator says something to a user, takes him out of a room and ends his connections, all by keyboard", async () => {
  const id = unique("guest");
  const room = `lobby:${unique("keys")}`;
  const guest = new Client({ url: server.http, token: mint({ sub: id, name: "Gus" }) });
  guest.connect();
  const told: unknown[] = [];
  guest.on("hello", (data) => void told.push(data));
  guest.room(room).enter();
  await until(() => expect(guest.room(room).state.status).toBe("live"));
  const window = await Window.open(browser, server);
  await window.signIn("/users");
  const dialog = window.page.getByRole("dialog");
  const press = async (
    role: "button" | "link",
    name: string | RegExp,
    within = window.page.locator("#main"),
  ) => {
    await within.getByRole(role, { name, exact: true }).first().press("Enter");
  };
  // A dialog takes the focus as it opens: who presses before that presses what it chose.
  const confirm = async (name: string) => {
    const isInside = () => dialog.evaluate((open) => open.contains(document.activeElement));
    await until(async () => expect(await isInside()).toBe(true));
    await press("button", name, dialog);
    // Until it is answered nothing behind it can be pressed.
    await dialog.waitFor({ state: "hidden" });
  };
  await press("link", "Gus");
  await window.page.getByRole("heading", { name: "Gus", level: 1 }).waitFor();

  await window.page.getByLabel("Event").focus();
  await window.page.keyboard.press("ControlOrMeta+A");
  await window.page.keyboard.type("hello");
  await window.page.keyboard.press("Tab");
  await window.page.keyboard.press("ControlOrMeta+A");
  await window.page.keyboard.type('{"to": "Gus"}');
  await window.page.keyboard.press("Tab");
  await window.page.keyboard.press("Enter");
  await window.page.getByText(/^Published as /).waitFor();
  await until(() => expect(told).toEqual([{ to: "Gus" }]));

  const row = window.page.getByRole("row", { name: new RegExp(room) });
  await press("button", "Kick", row);
  await dialog.waitFor();
  // Escape is no, and the focus is where it was.
  await window.page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  expect(await window.page.evaluate(() => document.activeElement?.textContent)).toBe("Kick");
  expect(guest.room(room).state.status).toBe("live");
  await window.page.keyboard.press("Enter");
  await confirm("Kick");
  await until(() => expect(guest.room(room).state.status).toBe("left"));

  const { session } = guest.state;
  await press("button", "Disconnect", window.page.locator(".head"));
  await confirm("Disconnect");
  await until(() => expect(guest.state.session).not.toBe(session));
  guest.disconnect();
  await window.page.getByText("There is none now.").waitFor();
  expect(window.complaints).toEqual([]);
  await window.page.close();
});

test("what is said on sockets is drawn from its document: commands, events, payloads, rooms", async () => {
  const window = await Window.open(browser, server);
  await window.signIn("/docs");
  await window.page.getByRole("link", { name: "On sockets" }).click();
  const board = window.page.getByRole("region", { name: "Namespace /leaderboard" });
  await board.getByRole("row", { name: /^window:/ }).waitFor();
  const command = board.getByRole("group").filter({ hasText: "Hears a board, or a window of it." });
  await command.locator("summary").focus();
  await window.page.keyboard.press("Enter");
  // What goes with it, as deep as it goes, and what is answered.
  await command.getByText("everyMs", { exact: true }).waitFor();
  await command.getByText("eloRating", { exact: true }).waitFor();
  await board.getByText("leaderboardUpdate", { exact: true }).waitFor();
  const plain = window.page.getByRole("region", { name: "Plain protocol /ws" });
  const subscribe = plain.getByRole("group").filter({ hasText: "Hears a room, by the room's rule." });
  await subscribe.locator("summary").click();
  await subscribe.getByText("minLane", { exact: true }).waitFor();
  // What may be null is of one kind all the same.
  await subscribe.getByText("LaneName", { exact: true }).waitFor();
  await subscribe.getByText("recovered", { exact: true }).waitFor();
  expect(await window.page.getByText("matchCompleted", { exact: true }).count()).toBe(1);
  await window.page.getByLabel("Part of a name").fill("windowUp");
  await window.page.getByText("matchCompleted", { exact: true }).waitFor({ state: "detached" });
  expect(await window.page.locator(".operation").count()).toBe(1);
  // Everything the document says is there.
  await window.page.getByLabel("Part of a name").fill("");
  const document = (await (
    await fetch(`${server.http}/api/asyncapi.json`, {
      headers: { authorization: `Bearer ${adminToken()}` },
    })
  ).json()) as { operations: object };
  const all = Object.keys(document.operations).length;
  await until(async () => expect(await window.page.locator(".operation").count()).toBe(all));
  expect(window.complaints).toEqual([]);
  await window.page.close();
});

test("who uses the server how much is seen at one look, by minute and by hour, by keyboard", async () => {
  const id = unique("busy");
  const room = `lobby:${unique("talk")}`;
  const guest = new Client({ url: server.http, token: mint({ sub: id, name: "Busy Bea" }) });
  guest.connect();
  guest.room(room).enter();
  await until(() => expect(guest.room(room).state.status).toBe("live"));
  for (let n = 0; n < 60; n += 1) await guest.publish(room, "said", { n });
  await fetch(`${server.http}/api/admin/usage`);
  const window = await Window.open(browser, server);
  await window.signIn("/");
  await window.page.getByRole("link", { name: "Usage" }).press("Enter");
  await window.page.getByRole("heading", { name: "Usage", level: 1 }).waitFor();
  const region = (name: string) => window.page.getByRole("region", { name, exact: true }).first();
  const events = async (row: RegExp, cell: number) => {
    const text = await region("Users by events")
      .getByRole("row", { name: row })
      .getByRole("cell")
      .nth(cell)
      .innerText();
    return Number(text.replaceAll(",", ""));
  };
  await region("Users by events")
    .getByRole("row", { name: /Busy Bea/ })
    .waitFor();
  expect(await events(/Busy Bea/, 0)).toBe(1);
  await until(async () => expect(await events(/Busy Bea/, 1)).toBeGreaterThanOrEqual(60));
  await region("Busiest rooms")
    .getByRole("row", { name: new RegExp(`${room}.*60.*1`) })
    .waitFor();
  await region("Refused, by code").getByText("unauthorized").waitFor();
  const chart = window.page.getByRole("img", { name: /^Events: delivered/ });
  await chart.waitFor();
  await window.page.getByText("Kept in memory for 2 h;").waitFor();
  await window.page.getByLabel("Time").focus();
  await window.page.keyboard.press("ArrowDown");
  await window.page.getByText("Kept in memory for 7 d;").waitFor();
  expect(new URL(window.page.url()).search).toBe("?by=hours");
  guest.disconnect();
  expect(window.complaints).toEqual([]);
  await window.page.close();
});

test("script in names and data is shown as the text it is", async () => {
  const script = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>`;
  const room = `lobby:${unique("script")}`;
  const guest = new Client({
    url: server.http,
    token: mint({ sub: unique("mallory"), name: script.slice(0, 60) }),
  });
  guest.connect();
  guest.room(room).enter();
  await until(() => expect(guest.room(room).state.status).toBe("live"));
  await server.publish(room, script, { [script]: script });
  const window = await Window.open(browser, server);
  await window.signIn(`/messages?room=${room}`);
  await window.page.locator(".events summary b", { hasText: "<img" }).waitFor();
  await window.page.locator(".events summary").first().click();
  await window.page.locator(".json", { hasText: "onerror" }).waitFor();
  await window.go(`/rooms/${room}`);
  await window.page.getByRole("row", { name: /<img src=x/ }).waitFor();
  expect(await window.page.locator("#main img, #main script").count()).toBe(0);
  expect(await window.page.title()).toBe(`${room} · Tidings console`);
  expect(window.complaints).toEqual([]);
  guest.disconnect();
  await window.page.close();
});

test("everything is reached by keyboard, and the menu of a phone opens", async () => {
  const window = await Window.open(browser, server);
  await window.signIn("/");
  await window.page.keyboard.press("Tab");
  await window.page.getByRole("link", { name: "Skip to the page" }).waitFor();
  const focused = () => window.page.evaluate(() => document.activeElement?.textContent);
  for (let steps = 0; (await focused()) !== "Rooms" && steps < 12; steps += 1)
    await window.page.keyboard.press("Tab");
  await window.page.keyboard.press("Enter");
  await window.page.getByRole("heading", { name: "Rooms", level: 1 }).waitFor();
  expect(await window.page.evaluate(() => document.activeElement?.id)).toBe("main");
  await window.page.setViewportSize({ width: 390, height: 800 });
  const menu = window.page.getByRole("button", { name: "Menu" });
  expect(await menu.getAttribute("aria-expanded")).toBe("false");
  await menu.click();
  await window.page.getByRole("link", { name: "Users" }).click();
  await window.page.getByRole("heading", { name: "Users", level: 1 }).waitFor();
  await window.page.close();
});
