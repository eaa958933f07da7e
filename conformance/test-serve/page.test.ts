import assert from "node:assert/strict";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import { ARTIFACTS, browsing } from "../lib/browser.ts";
import { ownPort } from "../lib/port.ts";
import type { Running } from "../lib/process.ts";
import { startServer } from "../lib/serve.ts";

const FLAGS = ["--demo"];
/** What Chromium itself writes to the console while nobody listens; a page cannot keep it from doing so. */
const NOBODY_LISTENS = /^WebSocket connection to '.*' failed/;

const window = browsing();
let server: Running;
let page: Page;
let complaints: string[];

beforeEach(async () => {
  server = await startServer(FLAGS, `127.0.0.1:${await ownPort()}`);
  ({ page, complaints } = window());
});

afterEach(async () => {
  await server.stop();
});

/**
 * Waits in the page until a condition holds.
 *
 * The page's own policy forbids eval, which Playwright's waitForFunction needs at each look; evaluate gets by
 * without it once the loop runs.
 */
async function shows(what: string, condition: string, ms = 20_000): Promise<void> {
  const loop = `new Promise((resolve) => {
    const end = performance.now() + ${ms};
    const look = () => {
      const holds = ${condition};
      if (holds || performance.now() > end) resolve(holds);
      else setTimeout(look, 40);
    };
    look();
  })`;
  if (await page.evaluate(loop)) return;
  throw new Error(`${what}: not within ${ms} ms; the page says ${await page.locator("#status").innerText()}`);
}

const text = (id: string) => `document.getElementById("${id}").textContent`;
const number = async (id: string) => Number(await page.locator(`#${id}`).textContent());
const isLive = 'document.getElementById("status").dataset.state === "live"';

async function opensAndShowsFigures(url = server.http): Promise<void> {
  await page.goto(`${url}/host`);
  await shows("live", isLive);
  await shows("figures", `/\\d/.test(${text("cpu-value")}) && Number(${text("events")}) > 0`);
}

/** How many pixels of a chart have a colour for which `test`, a function of r, g, b and a, is true. */
function painted(id: string, test: string): string {
  return `(() => {
    const canvas = document.querySelector("#${id} canvas");
    // Read from a copy: Chromium warns of reading the page's own canvas often.
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    const test = ${test};
    let count = 0;
    for (let i = 0; i < data.length; i += 4) count += test(data[i], data[i + 1], data[i + 2], data[i + 3]);
    return count;
  })()`;
}

// The curve is #0f766e and nothing else in the chart of the processor is; the gap is a shade of orange.
const CURVE = "(r, g, b, a) => a > 200 && r < 40 && g > 100 && g < 136 && b > 90 && b < 130";
const GAP = "(r, g, b, a) => a > 20 && r > g + 60 && g > b";

test("figures appear and are drawn", async () => {
  await opensAndShowsFigures();
  await shows("a second event", `Number(${text("events")}) > 1`);
  await shows("a curve", `${painted("cpu-plot", CURVE)} > 5`);
  for (const chart of ["memory", "disk", "network"]) {
    await shows(`something in ${chart}`, `${painted(`${chart}-plot`, "(r, g, b, a) => a > 0")} > 100`);
  }
  assert.match((await page.locator("#memory-total").textContent()) ?? "", /\d\s?[KMGT]?i?B/);
  assert.equal(await number("gaps"), 0);
  assert.deepEqual(complaints, []);
});

for (const [look, colorScheme, width] of [
  ["light", "light", 1280],
  ["dark", "dark", 1280],
  ["phone", "light", 390],
] as const) {
  test(`the page fits its window: ${look}`, async () => {
    await page.setViewportSize({ width, height: 1000 });
    await page.emulateMedia({ colorScheme });
    await opensAndShowsFigures();
    await shows("five events", `Number(${text("events")}) > 4`);
    await page.screenshot({ path: join(ARTIFACTS, `page-${look}.png`), fullPage: true });
    const wide = await page.evaluate("document.documentElement.scrollWidth");
    assert.ok(Number(wide) <= width, `${String(wide)} px in a window of ${width}`);
    assert.deepEqual(complaints, []);
  });
}

test("at a listener for administrators the page is live, and leads to one's account", async () => {
  const apart = await startServer(["--admin-listen", "127.0.0.1:0"]);
  try {
    await opensAndShowsFigures(await apart.logged(/administration on (http:.*)/));
    await page.getByRole("link", { name: "Account" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.deepEqual(complaints, []);
    assert.equal((await page.goto(apart.http))?.status(), 404);
    assert.equal((await page.goto(`${apart.http}/host`))?.status(), 404);
  } finally {
    await apart.stop();
  }
});

const ENDINGS: [how: string, end: (server: Running) => Promise<unknown>][] = [
  ["is killed", (ended) => ended.kill()],
  ["leaves in good order", (ended) => ended.stop()],
];

for (const [index, [how, end]] of ENDINGS.entries()) {
  test(`after a server that ${how} the page comes back by itself and marks the gap`, async () => {
    await opensAndShowsFigures();
    const epoch = await page.locator("#epoch").textContent();
    assert.equal(await page.evaluate(painted("cpu-plot", GAP)), 0);
    assert.deepEqual(complaints, []);

    await end(server);
    await shows("reconnecting", `!(${isLive})`);
    await page.screenshot({ path: join(ARTIFACTS, `page-away-${index}.png`) });
    server = await startServer(FLAGS, server.address);
    await shows("live again", `${isLive} && ${text("epoch")} !== "${epoch}"`, 60_000);
    await shows("one reconnect", `${text("reconnects")} === "1"`);
    await shows("one gap", `${text("gaps")} === "1"`);
    await shows("the mark of the gap", `${painted("cpu-plot", GAP)} > 20`);
    await page.screenshot({ path: join(ARTIFACTS, `page-back-${index}.png`) });
    assert.deepEqual(
      complaints.filter((complaint) => !NOBODY_LISTENS.test(complaint)),
      [],
    );
  });
}
