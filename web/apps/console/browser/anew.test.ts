import type { Browser } from "playwright-core";
import { expect, test } from "vitest";
import { Exchange } from "../../../testing/exchange.ts";
import { served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";
import { tokenOf, Window, withBrowser } from "./browsers.ts";

const server = served(["--no-limits"], "[apps.trading]\nkeep_ended_seconds = 1\n");
const demo = served(["--demo", "--no-limits"]);
let browser: Browser;
withBrowser((opened) => (browser = opened));

/** A member's page as it is for somebody who is none. */
async function isForStrangers({ page }: Window): Promise<void> {
  await page.getByRole("button", { name: "Join" }).waitFor({ timeout: 60_000 });
  await page.getByText("Orders are for members of this room.").waitFor();
  expect(await page.getByRole("button", { name: "Leave" }).count()).toBe(0);
  expect(await page.getByText("In step").count()).toBe(0);
}

test("a room that is removed and made anew is another one: who was a member of the first may join", async () => {
  const ada = unique("ada");
  const exchange = new Exchange(server);
  await exchange.run([ada], { lateJoin: true });
  await exchange.price("ACME", "10");
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn(`/trading/${exchange.id}`, tokenOf(ada));
  await page.getByText("In step").waitFor();
  await page.getByLabel(/^Quantity/).fill("3");
  await page.getByRole("button", { name: "Buy ACME" }).click();
  await page.getByRole("region", { name: "Filled" }).getByText("o1").first().waitFor();
  await exchange.post("end");
  await page.getByRole("alert").filter({ hasText: "no such room" }).waitFor();
  // The id is taken until all of the first is gone.
  await until(() => exchange.run([unique("bob")], { lateJoin: true }), 60_000);
  await isForStrangers(window);
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByText("In step").waitFor();
  await page.getByText("Nothing was filled yet.").waitFor();
  await page.close();
});

test("so it is in the demo, where the next round follows by itself", async () => {
  const guest = unique("guest");
  const window = await Window.open(browser, demo);
  const { page } = window;
  await until(() => demo.post("/api/trading/rooms/demo/join", {}, tokenOf(guest)));
  await window.signIn("/trading/demo", tokenOf(guest));
  await page.getByText("In step").waitFor();
  await demo.post("/api/trading/rooms/demo/end", {});
  await page.getByText("Trading has ended.").waitFor();
  await isForStrangers(window);
  await page.close();
});

test("fills and the newest price are there when the page is loaded again, and each fill once", async () => {
  const ada = unique("ada");
  const exchange = new Exchange(server);
  await exchange.run([ada]);
  await exchange.price("ACME", "10");
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn(`/trading/${exchange.id}`, tokenOf(ada));
  const fills = () =>
    page.getByRole("region", { name: "Filled", exact: true }).locator("tbody th").allInnerTexts();
  const buys = async (order: string) => {
    await page.getByLabel(/^Quantity/).fill("3");
    await page.getByRole("button", { name: "Buy ACME" }).click();
    await page.getByText(`Order ${order} is filled.`).waitFor();
  };
  await page.getByText("In step").waitFor();
  await buys("o1");
  await until(async () => expect(await fills()).toEqual(["o1"]));
  await page.reload();
  await until(async () => expect(await fills()).toEqual(["o1"]));
  await page.getByRole("img", { name: "Price of ACME: ACME 10.00" }).waitFor();
  await buys("o2");
  await until(async () => expect(await fills()).toEqual(["o2", "o1"]));
  await page.close();
});
