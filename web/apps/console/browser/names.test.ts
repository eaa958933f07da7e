import type { Browser } from "playwright-core";
import { expect, test } from "vitest";
import { Exchange } from "../../../testing/exchange.ts";
import { Studio } from "../../../testing/studio.ts";
import { served, unique } from "../../../testing/server.ts";
import { adminToken, tokenOf, Window, withBrowser } from "./browsers.ts";

const server = served(["--no-limits"]);
let browser: Browser;
withBrowser((opened) => (browser = opened));

const PHONE = { width: 360, height: 740 };
/** The longest there is, of a letter that is wide and has no place to break. */
const LONG = "W".repeat(64);

test("names of 64 letters stay within a phone's window, as does all cash that a room may begin with", async () => {
  const studio = new Studio(server);
  const [long, other, match] = [unique("long"), unique("other"), unique("match")];
  await studio.post("/players", { id: long, displayName: LONG });
  await studio.post("/players", { id: other, displayName: other });
  await studio.post("/matches", { id: match, players: [long, other] });
  const exchange = new Exchange(server);
  await exchange.run([long], { startingCash: "999999999.99" });
  await exchange.price("ACME", "99999.99");
  const window = await Window.open(browser, server);
  const { page } = window;
  await page.setViewportSize(PHONE);
  await window.signIn("/", tokenOf(long));
  window.complaints.splice(0);
  for (const [path, sign] of [
    [`/players/${long}`, "Around"],
    [`/matches/${match}`, "Score"],
    [`/trading/${exchange.id}`, "999,999,999.99"],
  ] as const) {
    await window.go(path);
    await page.getByText(sign).first().waitFor();
    await window.fits();
  }
  expect(window.complaints).toEqual([]);
  await page.close();
});

test("prices of six digits stand beside their chart with all of them", async () => {
  const exchange = new Exchange(server);
  await exchange.run([]);
  await exchange.price("ACME", "99999.99");
  const window = await Window.open(browser, server);
  const { page } = window;
  // What a canvas is told to write is written from its end: it is lost if that begins before the edge.
  await page.addInitScript(() => {
    const lost: string[] = [];
    Object.assign(globalThis, { lost });
    // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called on what it was called on
    const write = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (this: CanvasRenderingContext2D, text, x, y) {
      const left = this.textAlign === "right" ? x - this.measureText(text).width : x;
      if (left < 0) lost.push(text);
      write.call(this, text, x, y);
    };
  });
  await window.signIn(`/trading/${exchange.id}`, adminToken());
  await page.getByRole("img", { name: "Price of ACME: ACME 99999.99" }).waitFor();
  await page.locator(".chart canvas").waitFor();
  expect(await page.evaluate(() => (globalThis as unknown as { lost: string[] }).lost)).toEqual([]);
  await page.close();
});

test("names that are written from right to left stand in the order of their scores", async () => {
  const studio = new Studio(server);
  const [first, second, match] = [unique("first"), unique("second"), unique("match")];
  await studio.post("/players", { id: first, displayName: "עברית" });
  await studio.post("/players", { id: second, displayName: "مرحبا" });
  await studio.post("/matches", { id: match, players: [first, second] });
  const window = await Window.open(browser, server);
  const { page } = window;
  await window.signIn("/matches");
  const leftOf = (text: string) =>
    page.evaluate((name) => {
      const all = document.createTreeWalker(document.querySelector("#main")!, NodeFilter.SHOW_TEXT);
      while (all.nextNode()) {
        const at = all.currentNode.textContent?.indexOf(name) ?? -1;
        if (at < 0) continue;
        const range = document.createRange();
        range.setStart(all.currentNode, at);
        range.setEnd(all.currentNode, at + name.length);
        return range.getBoundingClientRect().left;
      }
      return undefined;
    }, text);
  for (const path of ["/matches", `/matches/${match}`]) {
    await window.go(path);
    await page.getByText("עברית").first().waitFor();
    expect(await leftOf("עברית"), path).toBeLessThan((await leftOf("مرحبا")) ?? 0);
  }
  await page.close();
});
