import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { served, unique } from "../../../testing/server.ts";
import { Studio } from "../../../testing/studio.ts";
import { until } from "../../../testing/until.ts";
import { adminToken, ARTIFACTS, isInTime, LOOKS, openBrowser, Window } from "./browsers.ts";

// It has to listen before the server starts, which is told of its origin.
const example = await serveExample();
const EXAMPLE = `http://localhost:${(example.address() as AddressInfo).port}`;
const server = served(["--no-limits", "--allow-origin", EXAMPLE]);
const lively = served(["--demo"]);
let browser: Browser;
let other: Browser;

beforeAll(async () => {
  [browser, other] = [await openBrowser(), await openBrowser()];
});
afterAll(async () => {
  example.close();
  example.closeAllConnections();
  await browser.close();
  await other.close();
});

const arena = (path: string, body: unknown) =>
  server.post(`/api/arena${path}`, body) as Promise<{ id: string }>;

async function newPlayers(count: number): Promise<string[]> {
  const names = Array.from({ length: count }, () => unique("Player"));
  for (const id of names) await arena("/players", { id, displayName: id, country: "FR" });
  return names;
}

async function newMatch(players: string[]): Promise<string> {
  const { id } = await arena("/matches", { players });
  await arena(`/matches/${id}/start`, {});
  return id;
}

const names = (window: Window) => window.page.locator(".board li a").allTextContents();

describe("a result that is submitted by REST", () => {
  test("is seen in two browsers, and both are right after a crash", async () => {
    const [winner = "", loser = ""] = await newPlayers(2);
    const match = await newMatch([winner, loser]);
    const windows = [await Window.open(browser, server), await Window.open(other, server)];
    const board = await Window.open(browser, server);
    for (const window of windows) {
      await window.signIn(`/matches/${match}`);
      await window.page.getByText("started").waitFor();
    }
    await board.signIn("/leaderboard");
    const seen = await Promise.all(windows.map((window) => window.seesAt(`${winner} won`)));
    const began = Date.now();
    await arena(`/matches/${match}/result`, {
      winnerId: winner,
      resultType: "win",
      scores: [{ playerId: winner, score: 3 }],
    });
    const late = await Promise.all(seen.map(async (when) => (await when()) - began));
    isInTime("seen after", late, "BROWSER_MS");
    await until(async () => expect(await names(board)).toEqual([winner, loser]));

    await server.kill();
    await board.page.locator('.status[data-state="reconnecting"]').waitFor();
    await server.start();
    // The loser wins twice while the pages come back.
    for (let n = 0; n < 2; n += 1) {
      const next = await newMatch([winner, loser]);
      await arena(`/matches/${next}/result`, { winnerId: loser, resultType: "win" });
    }
    await board.isLive();
    await until(async () => expect(await names(board)).toEqual([loser, winner]));
    for (const window of windows) {
      await window.isLive();
      await window.page.getByText(`${winner} won`).waitFor();
      expect(window.complaints).toEqual([]);
    }
    expect(board.complaints).toEqual([]);
    await Promise.all([...windows, board].map((window) => window.page.close()));
  });
});

test("the leaderboard follows fifty results a second, and is right when they end", async () => {
  const players = await newPlayers(30);
  const window = await Window.open(browser, server);
  await window.signIn("/leaderboard");
  await window.page.locator(".board").waitFor();
  // The longest time the page drew nothing, while results come in.
  await window.page.evaluate(() => {
    const drawn = window as unknown as { longest: number };
    let last = performance.now();
    drawn.longest = 0;
    const draw = () => {
      drawn.longest = Math.max(drawn.longest, performance.now() - last);
      last = performance.now();
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  });
  const started = Date.now();
  const results: Promise<unknown>[] = [];
  for (let n = 0; n < 150; n += 1) {
    // One every 20 ms: the rate is what is tested.
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, started + n * 20 - Date.now())));
    const [a = "", b = ""] = [players[n % 30], players[(n * 7 + 11) % 30]];
    if (a !== b)
      results.push(
        newMatch([a, b]).then((id) => arena(`/matches/${id}/result`, { winnerId: a, resultType: "win" })),
      );
  }
  await Promise.all(results);
  const longest = await window.page.evaluate(() => (window as unknown as { longest: number }).longest);
  const what = `${results.length} results in ${Date.now() - started} ms, longest without a picture`;
  isInTime(what, [longest], "BROWSER_FRAME_MS");
  const { entries } = (await (
    await fetch(`${server.http}/api/arena/leaderboards/global?limit=50`, {
      headers: { authorization: `Bearer ${adminToken()}` },
    })
  ).json()) as {
    entries: { displayName: string }[];
  };
  const expected = entries.map(({ displayName }) => displayName);
  await until(async () => expect(await names(window)).toEqual(expected));
  expect(window.complaints).toEqual([]);
  await window.page.close();
});

const at = (window: Window, label: string) =>
  window.page
    .getByRole("list", { name: label })
    .locator("li")
    .evaluateAll((rows) =>
      rows.map((row) => {
        const said = (name: string) => row.querySelector(`.${name}`)?.textContent;
        return `${said("rank")} ${row.querySelector("a")?.textContent} ${said("rating")}`;
      }),
    );

test("what is around me is shown live and is right after a crash, and who does not play yet can come", async () => {
  const studio = new Studio(server);
  const people = await studio.people(8);
  const me = unique("me");
  const window = await Window.open(browser, server);
  await window.signIn("/leaderboard", adminToken(me));
  await window.page.getByLabel("Part").selectOption("Around me");
  await window.page.getByLabel("Name").fill("Myself");
  await window.page.getByRole("button", { name: "Come onto the board" }).click();
  await window.page.locator('[aria-current="true"]', { hasText: "Myself" }).waitFor();
  const around = async () => {
    const headers = { authorization: `Bearer ${adminToken()}` };
    const read = await fetch(`${server.http}/api/arena/leaderboards/global/around/${me}?k=10`, { headers });
    const { entries } = (await read.json()) as {
      entries: { rank: number; displayName: string; eloRating: number }[];
    };
    return entries.map(
      ({ rank, displayName, eloRating }) => `${rank} ${displayName} ${eloRating.toLocaleString("en")}`,
    );
  };
  const agree = async () => {
    const expected = await around();
    await until(async () => expect(await at(window, "Around me")).toEqual(expected));
  };
  await agree();
  for (let n = 0; n < 6; n += 1) await studio.play(n % 3 === 0 ? me : (people[n] ?? ""), people[n + 1] ?? "");
  await agree();
  await server.kill();
  await window.page.locator('.status[data-state="reconnecting"]').waitFor();
  await server.start();
  await studio.play(me, people[0] ?? "");
  await window.isLive();
  await agree();
  await studio.play(people[1] ?? "", me);
  await agree();
  // The same rows on the player's own page, and nobody's friends.
  await window.page.getByLabel("Part").selectOption("My friends");
  await window.page.getByText("Friends are shown here").waitFor();
  await window.go(`/players/${me}`);
  await window.page.getByRole("list", { name: "Around Myself" }).getByText("Myself").waitFor();
  expect(window.complaints).toEqual([]);
  await window.page.close();
});

for (const [colorScheme, size, width] of LOOKS) {
  test(`the pages of the arena are whole, fit and can be used by everybody: ${size}, ${colorScheme}`, async () => {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
    try {
      const window = await Window.open(context, lively);
      const look = async (name: string) => {
        await window.isLive();
        await window.page.screenshot({
          path: `${ARTIFACTS}${name}-${size}-${colorScheme}.png`,
          fullPage: true,
        });
        expect(await window.serious(), name).toEqual([]);
        await window.fits();
      };
      await window.signIn("/leaderboard", adminToken(unique("root")));
      await window.page.locator(".board li .mark").first().waitFor();
      await look("leaderboard");
      await window.page.getByLabel("Part").selectOption("Around me");
      await window.page.getByLabel("Name").waitFor();
      await look("leaderboard-stranger");
      await window.page.getByLabel("Name").fill(`Root ${size} ${colorScheme}`);
      await window.page.getByRole("button", { name: "Come onto the board" }).click();
      await window.page.locator('[aria-current="true"]').waitFor();
      await look("leaderboard-around");
      // Somebody who has played: the demo does so all the time.
      await window.go("/matches");
      await window.page
        .getByRole("link", { name: /^(Watch|Look at) / })
        .nth(8)
        .click();
      await window.page.locator(".score a").first().click();
      await window.page.getByRole("heading", { name: "Rating", exact: true }).waitFor();
      await window.page.locator(".board li[aria-current]").waitFor();
      await look("player");
      await window.go("/matches");
      await window.page
        .getByRole("link", { name: /^(Watch|Look at) / })
        .first()
        .click();
      await window.page.locator(".score").waitFor();
      await window.page.locator(".hops li").first().waitFor();
      await look("match");
      await window.go("/matches");
      await window.page
        .getByRole("link", { name: /^Watch / })
        .first()
        .waitFor();
      await look("matches");
      await window.go("/players");
      await window.page.getByRole("row").nth(3).waitFor();
      await look("players");
      expect(window.complaints).toEqual([]);
    } finally {
      await context.close();
    }
  });
}

/** Serves the example as its own small server does, with the client from where it is here. */
function serveExample(): Promise<Server> {
  const client = createRequire(import.meta.url)
    .resolve("socket.io-client/package.json")
    .replace("package.json", "dist/socket.io.esm.min.js");
  const page = new URL("../../../../examples/browser/leaderboard.html", import.meta.url);
  const example = createServer((request, response) => {
    const script = request.url === "/socket.io.js";
    response.setHeader("content-type", script ? "text/javascript" : "text/html");
    response.end(readFileSync(script ? client : page));
  });
  return new Promise((listening) => example.listen(0, "localhost", () => listening(example)));
}

test("the example of one file shows the board with the stock client, and follows a result", async () => {
  const page = await browser.newPage();
  try {
    const [first = "", second = ""] = await newPlayers(2);
    await page.goto(`${EXAMPLE}/?server=${encodeURIComponent(server.http)}&country=FR&token=${adminToken()}`);
    await page.getByText("Live", { exact: true }).waitFor();
    await page.getByText(first).waitFor();
    const match = await newMatch([second, first]);
    await arena(`/matches/${match}/result`, { winnerId: second, resultType: "win" });
    const order = async () => {
      const all = await page.locator("#board li").allTextContents();
      return [second, first].map((name) => all.findIndex((row) => row.includes(name)));
    };
    await until(async () => {
      const [winner = -1, loser = -1] = await order();
      expect(winner).toBeGreaterThanOrEqual(0);
      expect(winner).toBeLessThan(loser);
    });
    expect(page.url()).not.toContain("token");
  } finally {
    await page.close();
  }
});
