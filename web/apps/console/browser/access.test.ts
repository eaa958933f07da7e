import type { Browser } from "playwright-core";
import { describe, expect, test, vi } from "vitest";
import { Client } from "@tidings/client";
import { mint, served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";
import { adminToken, Window, withBrowser } from "./browsers.ts";

const server = served(["--demo", "--no-limits"]);
let browser: Browser;
withBrowser((opened) => (browser = opened));

const tokenOf = (user: string, claims: object = {}) =>
  mint({ sub: user, name: user, exp: Math.floor(Date.now() / 1_000) + 3_600, ...claims });

const asks = (path: string, headers: Record<string, string>, init: RequestInit = {}) =>
  fetch(server.http + path, { ...init, headers });
const asAdmin = { authorization: `Bearer ${adminToken()}` };
const login = (email: string, password = "password123") =>
  asks("/api/auth/login", {}, { method: "POST", body: JSON.stringify({ email, password }) });

/** Where the menu leads, in its order. */
async function places({ page }: Window): Promise<string[]> {
  const links = await page.locator("#places ul a").all();
  return Promise.all(links.map(async (link) => (await link.getAttribute("href")) ?? ""));
}

describe("who signs in", () => {
  test("and runs nothing here begins with the first page for everybody, and no place is for others alone", async () => {
    const window = await Window.open(browser, server);
    const { page } = window;
    await window.signIn("/", tokenOf(unique("plain")));
    await page.getByRole("heading", { name: "Messages", level: 1 }).waitFor();
    expect(new URL(page.url()).pathname).toBe("/messages");
    await page.getByRole("link", { name: "Trading rooms" }).waitFor();
    await page.getByRole("link", { name: "Leaderboard" }).waitFor();
    const shown = await places(window);
    expect(shown[0]).toBe("/messages");
    expect(shown).toContain("/apps");
    for (const place of shown) {
      await page.locator(`#places a[href="${place}"]`).click();
      await page.waitForURL(`**${place}`);
      await page.locator("#main h1").waitFor();
      await page.waitForLoadState("networkidle");
      expect(await page.getByText("This is for administrators.").count(), place).toBe(0);
    }
    await page.getByRole("link", { name: "Tidings" }).click();
    await page.getByRole("heading", { name: "Messages", level: 1 }).waitFor();
    await page.close();
  });

  test("as an operator watches the server and reads the audit log", async () => {
    const window = await Window.open(browser, server);
    await window.signIn("/", tokenOf(unique("operator"), { roles: ["operator"] }));
    await window.page.locator("#main").getByText("Shards").first().waitFor();
    const shown = await places(window);
    expect(shown).toEqual(expect.arrayContaining(["/", "/users", "/audit"]));
    expect(shown.filter((place) => ["/accounts", "/keys"].includes(place))).toEqual([]);
    await window.page.getByRole("link", { name: "Audit log" }).click();
    // What concerns no organisation.
    await window.page.getByRole("row", { name: / start / }).waitFor();
    await window.page.close();
  });
});

test("the audit log is looked through by user, action and result, page by page", async () => {
  expect((await login("bob@example.com", "not this one")).status).toBe(401);
  const reader = unique("reader");
  const asReader = { authorization: `Bearer ${tokenOf(reader, { scope: "admin" })}` };
  for (let times = 0; times < 60; times += 1) await asks("/api/audit?limit=1", asReader);
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/audit");
  const rows = page.locator("#main tbody tr");
  const look = () => page.getByRole("button", { name: "Look" }).click();
  await page.getByLabel("Action").selectOption("login");
  await page.getByLabel("Result").selectOption("refused");
  await look();
  const refused = page.getByRole("row", { name: /bob@example\.com.*refused/ });
  await refused.first().waitFor();
  await until(async () =>
    expect(new Set(await page.locator("#main tbody td:nth-of-type(2)").allInnerTexts())).toEqual(
      new Set(["login"]),
    ),
  );
  await refused.locator("summary").first().click();
  await page.locator(".json").getByText('"hash"').waitFor();

  await page.goto(`${server.http}/audit?actor=${reader}`);
  await window.isLive();
  expect(await page.getByRole("textbox", { name: "User" }).inputValue()).toBe(reader);
  await until(async () => expect(await rows.count()).toBe(50));
  await page.getByRole("button", { name: "Show more" }).click();
  await until(async () => expect(await rows.count()).toBe(60));
  await page.getByRole("button", { name: "Show more" }).waitFor({ state: "detached" });
  // The same question again is asked again.
  await asks("/api/audit?limit=1", asReader);
  await vi.waitFor(
    async () => {
      await look();
      expect(await rows.count()).toBe(61);
    },
    { timeout: 30_000, interval: 500 },
  );
  expect(window.complaints).toEqual([]);
  await page.close();
});

test("a key is made, shown once, good until it is deleted, and gone from then on", async () => {
  const name = unique("Shop");
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/keys");
  await page.getByLabel("Name").fill(name);
  await page.getByLabel(/^Days/).fill("30");
  await page.getByRole("button", { name: "Make the key" }).click();
  const key = await page.locator(".secret").innerText();
  expect(key).toMatch(/^tk_/);
  const publish = () =>
    asks(
      "/api/publish",
      { authorization: `Bearer ${key}` },
      { method: "POST", body: JSON.stringify({ room: "lobby:welcome", event: "said", data: {} }) },
    );
  expect((await publish()).status).toBe(200);
  const row = page.getByRole("row", { name: new RegExp(name) });
  await row.getByText("publish").waitFor();
  await page.reload();
  await row.waitFor();
  expect(await page.content()).not.toContain(key);
  await row.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await row.getByText(/^deleted /).waitFor();
  await until(async () => expect((await publish()).status).toBe(401));
  // What cannot be is said.
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Publish").uncheck();
  await page.getByRole("button", { name: "Make the key" }).click();
  await page.getByRole("alert").filter({ hasText: "scopes: one or more" }).waitFor();
  await page.close();
});

test("an account gets roles, loses its tokens, and may sign in no longer, then again", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/accounts");
  const row = page.getByRole("row", { name: /charlie@example\.com/ });
  const rolesOf = async () => {
    const { users } = (await (await asks("/api/users", asAdmin)).json()) as {
      users: { email: string; roles: string[] }[];
    };
    return users.find(({ email }) => email === "charlie@example.com")?.roles;
  };
  await row.locator("summary").press("Enter");
  await row.getByLabel("Roles of Charlie, by commas").fill("moderator, helper moderator");
  await row.getByRole("button", { name: "Set" }).press("Enter");
  await row.getByText("They are set.").waitFor();
  expect((await rolesOf())?.sort()).toEqual(["helper", "moderator"]);
  await row.locator("summary", { hasText: "moderator" }).waitFor();

  const { accessToken } = (await (await login("charlie@example.com")).json()) as { accessToken: string };
  const me = async () => (await asks("/api/auth/me", { authorization: `Bearer ${accessToken}` })).status;
  expect(await me()).toBe(200);
  const confirm = async (label: string) => {
    await row.getByRole("button", { name: label }).click();
    await page.getByRole("dialog").getByRole("button", { name: label }).click();
  };
  await confirm("Revoke");
  await row.getByText("Called back.").waitFor();
  expect(await me()).toBe(401);
  await confirm("Disable");
  await row.getByText("disabled").waitFor();
  expect((await login("charlie@example.com")).ok).toBe(false);
  await confirm("Enable");
  await row.getByText("active").waitFor();
  expect((await login("charlie@example.com")).status).toBe(200);
  expect(window.complaints).toEqual([]);
  await page.close();
});

test("of two administrators who change the same roles the second is told what the first has made of them", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/accounts");
  const row = page.getByRole("row", { name: /diana@example\.com/ });
  await row.locator("summary").press("Enter");
  const field = row.getByLabel("Roles of Diana, by commas");
  await field.fill("helper");
  // Another one, while this one types.
  const { users } = (await (await asks("/api/users", asAdmin)).json()) as {
    users: { id: string; email: string }[];
  };
  const path = `/api/users/${users.find(({ email }) => email === "diana@example.com")?.id}/roles`;
  const body = JSON.stringify({ roles: ["judge"] });
  expect((await asks(path, asAdmin, { method: "POST", body })).status).toBe(200);
  await row.getByRole("button", { name: "Set" }).click();
  await row.getByText("the roles were changed meanwhile, to: judge").waitFor();
  // What is there now is shown, and what was typed is kept.
  await row.locator("summary", { hasText: "judge" }).waitFor();
  expect(await field.inputValue()).toBe("helper");
  await row.getByRole("button", { name: "Set" }).click();
  await row.getByText("They are set.").waitFor();
  await row.locator("summary", { hasText: "helper" }).waitFor();
  await page.close();
});

test("somebody is invited with roles, once", async () => {
  const email = `${unique("guest")}@example.com`;
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/accounts");
  const invite = async () => {
    await page.getByLabel("E-mail address").fill(email);
    await page.getByLabel("Roles, by commas").fill("moderator, helper");
    await page.getByRole("button", { name: "Invite" }).click();
  };
  await invite();
  await page
    .getByRole("status")
    .filter({ hasText: `${email} is sent a link` })
    .waitFor();
  const row = page.getByRole("row", { name: new RegExp(email) });
  await row.getByText("not confirmed").waitFor();
  await row.locator("summary", { hasText: /helper.*moderator|moderator.*helper/ }).waitFor();
  expect(await page.getByLabel("E-mail address").inputValue()).toBe("");
  expect(window.complaints).toEqual([]);
  await invite();
  await page.getByRole("alert").filter({ hasText: "address exists already" }).waitFor();
  await page.close();
});

test("one account with a long name and long roles leaves every account's buttons in the window", async () => {
  const body = JSON.stringify({
    email: `${unique("w".repeat(50))}@${"d".repeat(40)}.example`,
    name: "Hubert Wolfeschlegelsteinhausenbergerdorff ".repeat(2).trim(),
    roles: ["a", "b", "c"].map((letter) => letter.repeat(64)),
  });
  expect((await asks("/api/users", asAdmin, { method: "POST", body })).status).toBe(201);
  for (const width of [1_280, 390]) {
    const context = await browser.newContext({ viewport: { width, height: 800 } });
    const window = await Window.open(context, server);
    const { page } = window;
    await window.signIn("/accounts");
    await page.getByRole("row", { name: /Hubert/ }).waitFor();
    const table = await page.getByRole("region", { name: "Accounts" }).boundingBox();
    for (const button of await page.getByRole("button", { name: "Revoke" }).all()) {
      const box = await button.boundingBox();
      expect(endOf(box), `at ${width}`).toBeLessThan(endOf(table));
    }
    await context.close();
  }
});

/** Where something ends, from the left. */
function endOf(box: { x: number; width: number } | null): number {
  expect(box).not.toBeNull();
  return box ? box.x + box.width : 0;
}

test("what nobody acknowledged is seen, sent again until it is, or thrown away", async () => {
  const [away, gone] = [unique("away"), unique("gone")];
  // Once it is sent again there is as much time to acknowledge it.
  const receipt = { timeoutMs: 5_000, tries: 1 };
  for (const userId of [away, gone])
    await server.post("/api/publish", { userId, event: "parcel", data: { order: userId }, receipt });
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/dead-letters");
  const row = (user: string) => page.getByRole("row", { name: new RegExp(`parcel.*${user}`) });
  await row(away).getByText("was not connected").waitFor();
  await row(gone).waitFor();
  await row(away).locator("summary").press("Enter");
  await row(away).locator(".json").getByText(`"order": "${away}"`).waitFor();

  const client = new Client({ url: server.http, token: tokenOf(away) });
  const heard: unknown[] = [];
  client.connect();
  // The last argument is what acknowledges it.
  client.socket?.on("parcel", (data: unknown, ...rest: unknown[]) => {
    heard.push(data);
    (rest.at(-1) as () => void)();
  });
  await until(() => expect(client.state.status).toBe("connected"));
  const confirm = async (user: string, label: string) => {
    await row(user).getByRole("button", { name: label }).click();
    await page.getByRole("dialog").getByRole("button", { name: label }).click();
  };
  await confirm(away, "Send again");
  await until(() => expect(heard).toEqual([{ order: away }]));
  await row(away).waitFor({ state: "detached" });
  await confirm(gone, "Throw away");
  await row(gone).waitFor({ state: "detached" });
  client.disconnect();
  expect(window.complaints).toEqual([]);
  await page.close();
});
