import type { Browser } from "playwright-core";
import { expect, test } from "vitest";
import { Exchange } from "../../../testing/exchange.ts";
import { Studio } from "../../../testing/studio.ts";
import { mint, served, unique } from "../../../testing/server.ts";
import { adminToken, Window, withBrowser } from "./browsers.ts";

const server = served(["--no-limits"]);
let browser: Browser;
withBrowser((opened) => (browser = opened));

const memberToken = () => mint({ sub: unique("mia"), exp: Math.floor(Date.now() / 1_000) + 3_600 });

test("a member is offered nothing that is for administrators alone", async () => {
  await server.publish("lobby:welcome", "said", { text: "hello" });
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/messages?room=lobby:welcome", memberToken());
  window.complaints.splice(0);
  await page.locator(".events summary").first().click();
  expect(await page.getByText("Explain").count()).toBe(0);
  expect(window.complaints).toEqual([]);
  for (const path of ["/users/somebody", "/rooms/lobby:welcome"]) {
    await window.go(path);
    await page.getByRole("alert").filter({ hasText: "This is for administrators." }).first().waitFor();
    for (const name of ["Explain", "Publish", "Disconnect", "Kick"])
      expect(await page.getByText(name, { exact: true }).count(), `${name} on ${path}`).toBe(0);
  }
  await page.getByRole("button", { name: "Sign out" }).click();

  await window.signIn("/messages?room=lobby:welcome", adminToken());
  await page.locator(".events summary").first().click();
  await page.locator(".events").getByRole("button", { name: "Explain" }).click();
  await page.locator(".hops").waitFor();
  await window.go("/users/somebody");
  for (const name of ["Publish", "Disconnect"]) await page.getByRole("button", { name }).first().waitFor();
  await page.close();
});

test("older matches are a page away, and those that are over are looked at", async () => {
  const studio = new Studio(server);
  const [ada, bob] = [unique("ada"), unique("bob")];
  for (const id of [ada, bob]) await studio.post("/players", { id, displayName: id });
  for (let n = 0; n < 51; n += 1)
    await studio.post("/matches", { id: `${ada}-${String(n).padStart(2, "0")}`, players: [ada, bob] });
  const first = `/matches/${ada}-00`;
  await studio.post(`${first}/start`, {});
  await studio.post(`${first}/result`, { winnerId: ada, resultType: "win" });
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/matches");
  const rows = page.getByRole("region", { name: "Matches" }).locator("tbody tr");
  await rows.nth(49).waitFor();
  expect(await rows.count()).toBe(50);
  await page.getByRole("link", { name: "Watch" }).first().waitFor();
  await page.getByRole("button", { name: "Older" }).click();
  await page.getByRole("link", { name: `Look at ${ada} against ${bob}` }).waitFor();
  expect(await rows.count()).toBe(1);
  expect(await page.getByRole("button", { name: "Older" }).count()).toBe(0);
  await page.getByRole("button", { name: "Newer" }).click();
  await rows.nth(49).waitFor();
  expect(window.complaints).toEqual([]);
  await page.close();
});

test("a room that is not fed is no fault, and one without a user has an owner all the same", async () => {
  const exchange = new Exchange(server);
  await exchange.open([], {}, ["AAPL"]);
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn(`/trading/${exchange.id}`);
  await page.getByRole("button", { name: "Feed it from the sample prices" }).waitFor();
  expect(window.complaints).toEqual([]);
  await page.close();
});

test("what an app says on a namespace stands under one heading", async () => {
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/apps", memberToken());
  const headings = page.getByRole("heading", { name: "Namespace /trading" });
  await headings.waitFor();
  expect(await headings.count()).toBe(1);
  await page.close();
});
