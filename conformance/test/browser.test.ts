import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before } from "node:test";
import { chromium, type Browser, type Page } from "playwright-core";
import { matrixFixtures, type Parser } from "../lib/fixture.ts";
import { facts } from "../lib/reference.ts";
import { within } from "../lib/wait.ts";

const servers = matrixFixtures();
const fact = facts();
const DIST = join(dirname(createRequire(import.meta.url).resolve("socket.io-client/package.json")), "dist");
const SESSION = new URL("../lib/page.js", import.meta.url);
// A page that is put in on the way has no address, and Chromium keeps such pages from loopback.
const ARGUMENTS = ["--no-sandbox", "--disable-features=LocalNetworkAccessChecks"];
const BUNDLES: Record<Parser, string> = { json: "socket.io.min.js", msgpack: "socket.io.msgpack.min.js" };

let browser: Browser | undefined;

before(async () => {
  const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: ARGUMENTS });
});

after(async () => {
  await browser?.close();
});

/** A page of the server's own origin with the client's published browser bundle in it. */
async function openPage(parser: Parser): Promise<Page> {
  if (!browser) throw new Error("the browser is not running");
  const page = await browser.newPage();
  const address = `${servers[parser].http}/page`;
  // The fixture serves no pages; its origin is what counts, so the page is put there on the way.
  await page.route(address, (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
  await page.goto(address);
  await page.addScriptTag({ content: readFileSync(join(DIST, BUNDLES[parser]), "utf8") });
  await page.addScriptTag({ content: readFileSync(SESSION, "utf8") });
  return page;
}

for (const parser of ["json", "msgpack"] as Parser[]) {
  for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    fact(
      `Chromium over ${transports.join(" then ")} with ${parser} connects, echoes and is sent away`,
      async () => {
        const page = await openPage(parser);
        const result = await within(
          page.evaluate(`session(${JSON.stringify(transports)})`),
          "session in the page",
          60_000,
        );
        await page.close();
        assert.deepEqual(result, {
          transport: transports.at(-1),
          auth: { token: "from a page" },
          echo: ["é😀", { nested: [null, 1.5] }],
          bytes: [1, 2, 255],
          left: "io server disconnect",
        });
      },
    );
  }
}
