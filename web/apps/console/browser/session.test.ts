import type { Browser } from "playwright-core";
import { expect, test } from "vitest";
import { mint, served, unique } from "../../../testing/server.ts";
import { adminToken, Window, withBrowser } from "./browsers.ts";

const server = served(["--no-limits", "--auth-expiry-grace-seconds", "0"]);
let browser: Browser;
withBrowser((opened) => (browser = opened));

const inSeconds = (seconds: number) => Math.floor(Date.now() / 1_000) + seconds;
const ended = ({ page }: Window) =>
  page.getByRole("alert").filter({ hasText: "Your sign-in has ended: sign in again." });

test("who signed in with a token that ends is told so where they are, and nothing goes on asking", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  await page.clock.install();
  const token = (seconds: number) =>
    mint({ sub: unique("brief"), scope: "admin publish", exp: inSeconds(seconds) });
  // The page is loaded and signs in before that.
  await window.signIn("/rooms", token(15));
  await page.getByRole("heading", { name: "Rooms" }).waitFor();
  await ended(window).waitFor();
  expect(await page.getByRole("heading", { name: "Rooms" }).count()).toBe(0);
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.clock.fastForward(60_000);
  await page.evaluate(() => new Promise(requestAnimationFrame));
  expect(asked).toEqual([]);

  await page.getByLabel("Token").fill(token(3_600));
  await page.getByRole("button", { name: "Use the token" }).click();
  await page.getByRole("heading", { name: "Rooms" }).waitFor();
  await window.isLive();
  expect(await ended(window).count()).toBe(0);
  await page.close();
});

test("a page that is opened with a token that has ended asks to sign in again, and forgets the token", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  const kept = JSON.stringify({ by: "token", token: mint({ sub: unique("late"), exp: inSeconds(-600) }) });
  await window.go("/sign-in");
  await page.evaluate((value) => sessionStorage.setItem("tidings:sign-in", value), kept);
  await window.go("/docs");
  await ended(window).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  expect(await ended(window).count()).toBe(0);
  await page.close();
});

test("what was read for one is not shown to who signs in next", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/rooms", adminToken());
  await page.getByText("No room has members or a history.").or(page.getByRole("table")).first().waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.route("**/api/admin/rooms?*", () => {});
  await page.getByLabel("Token").fill(mint({ sub: unique("next"), exp: inSeconds(3_600) }));
  await page.getByRole("button", { name: "Use the token" }).click();
  await window.isLive();
  await page.getByText("Reading …").waitFor();
  await page.close();
});

test("who is no administrator has no links to pages for administrators, and is told whom they are for", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/", mint({ sub: unique("plain"), exp: inSeconds(3_600) }));
  await page.getByRole("heading", { name: "Messages", level: 1 }).waitFor();
  const links = () => page.locator("#places li").allInnerTexts();
  expect(await links()).toEqual(expect.arrayContaining(["Messages", "API"]));
  expect(await links()).not.toContain("Sockets");
  await window.go("/sockets");
  await page.getByRole("alert").filter({ hasText: "an account that has the role admin" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page
    .getByLabel("Token")
    .fill(mint({ sub: unique("chief"), roles: ["admin"], exp: inSeconds(3_600) }));
  await page.getByRole("button", { name: "Use the token" }).click();
  await page.getByRole("link", { name: "Sockets" }).waitFor();
  await page.close();
});
