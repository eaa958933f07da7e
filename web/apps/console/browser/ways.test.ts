import type { Browser } from "playwright-core";
import { expect, test } from "vitest";
import { Client } from "@tidings/client";
import { Studio } from "../../../testing/studio.ts";
import { mint, served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";
import { adminToken, Window, withBrowser } from "./browsers.ts";

const server = served(["--no-limits"]);
let browser: Browser;
withBrowser((opened) => (browser = opened));

/** Fifty and one more, of players and of their matches. */
async function season(): Promise<void> {
  const studio = new Studio(server);
  const ids = await studio.people(51);
  for (const id of ids) await studio.post("/matches", { players: [id, ids[0] === id ? ids[1] : ids[0]] });
}

test("who comes back to a list is on the page of it that was left", async () => {
  await season();
  const window = await Window.open(browser, server);
  const { page } = window;
  const lists = [
    ["Players", "after", { on: "Next", back: "Back", first: "First" }],
    ["Matches", "before", { on: "Older", back: "Newer", first: "Newest" }],
  ] as const;
  await window.signIn("/");
  for (const [name, parameter, buttons] of lists) {
    const rows = page.getByRole("region", { name, exact: true }).locator("tbody tr");
    const button = (title: string) => page.getByRole("button", { name: title, exact: true });
    const isSecond = () => until(async () => expect(await rows.count()).toBe(1));
    await window.go(`/${name.toLowerCase()}`);
    await rows.nth(49).waitFor();
    for (const title of [buttons.back, buttons.first]) expect(await button(title).count()).toBe(0);
    await button(buttons.on).click();
    await isSecond();
    const address = page.url();
    expect(new URL(address).searchParams.get(parameter)).toBeTruthy();
    await rows.getByRole("link").click();
    await rows.first().waitFor({ state: "detached" });
    await page.goBack();
    await isSecond();
    expect(page.url()).toBe(address);
    await page.reload();
    await isSecond();
    await button(buttons.back).click();
    await rows.nth(49).waitFor();
    await page.goBack();
    await isSecond();
    // Whoever was given the address has no page before it.
    const given = await browser.newContext();
    const other = await Window.open(given, server);
    await other.signIn(new URL(address).pathname + new URL(address).search);
    await other.page.getByRole("button", { name: buttons.first, exact: true }).click();
    await other.page.getByRole("region", { name, exact: true }).locator("tbody tr").nth(49).waitFor();
    await given.close();
  }
  expect(window.complaints).toEqual([]);
  await page.close();
});

test("an address with a number in it is an address like any other", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/leaderboard?board=5&view=constructor");
  await page.getByRole("heading", { name: "Global", level: 2 }).waitFor();
  expect(await page.getByText("could not be shown").count()).toBe(0);
  expect(window.complaints).toEqual([]);
  await page.close();
});
test("what became of a message is read again when it is asked again", async () => {
  const zoe = unique("zoe");
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn(`/messages?userId=${zoe}`);
  await page.getByText("Nothing happened to this user’s connections lately.").waitFor();
  const client = new Client({ url: server.http, token: mint({ sub: zoe }) });
  client.connect();
  await until(() => expect(client.state.status).toBe("connected"));
  client.disconnect();
  const admin = new Client({ url: server.http, token: adminToken() });
  await until(async () => {
    const { moments } = (await admin.request(`/api/explain?userId=${zoe}`)) as { moments: unknown[] };
    expect(moments).not.toEqual([]);
  });
  await page.getByRole("button", { name: "Explain", exact: true }).click();
  await page.locator(".hops li").getByText("closed").waitFor();
  // As text, however much it looks like a number.
  await window.go(`/messages?userId=5&messageId=7`);
  await page.getByRole("alert").or(page.locator(".hops")).first().waitFor();
  expect(await page.getByLabel("For user").inputValue()).toBe("5");
  await page.close();
});

test("the page of one's account says why one signs in once more, and the console stays as it was", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/docs");
  await page.getByRole("link", { name: "Account", exact: true }).click();
  await page.getByText("Sign in once more: this page forgets you when you leave it").waitFor();
  expect(page.url()).toBe(`${server.http}/account`);
  await page.goBack();
  await page.getByRole("heading", { name: "API", level: 1 }).waitFor();
  await window.isLive();
  await window.go("/account");
  await page.getByText("Sign in, or make an account.").waitFor();
  await page.close();
});
