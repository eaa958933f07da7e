import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { browsing } from "../lib/browser.ts";
import { ownPort } from "../lib/port.ts";
import { ROOT, start, type Running } from "../lib/process.ts";
import { python } from "../lib/python.ts";
import { mint, startServer, unique } from "../lib/serve.ts";

/** A line of figures as the examples for the terminal print it, with the time it is of. */
const FIGURES = /^(\d\d:\d\d:\d\d) {2}CPU [█·]{20} +\d+\.\d % {2}memory \d+\.\d+ % {2}\d+ kB\/s in$/;

const window = browsing();
const running: Running[] = [];
let folder: string;
let port: number;
let server: Running;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidings-examples-"));
  cpSync(join(ROOT, "examples"), folder, { recursive: true });
  // The same client in the same version, without fetching it once more.
  for (const name of ["node", "browser"]) {
    rmSync(join(folder, name, "node_modules"), { recursive: true, force: true });
    symlinkSync(join(ROOT, "conformance", "node_modules"), join(folder, name, "node_modules"));
  }
  port = await ownPort();
  server = await startServer(["--allow-origin", `http://localhost:${port}`]);
});

afterEach(async () => {
  for (const one of running.splice(0)) await one.kill();
});

after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

function token(): string {
  return mint({ sub: unique("alice") });
}

/** Starts an example and waits for its first figures; answers the time they are of. */
async function printed(command: string[]): Promise<{ first: string; example: Running }> {
  const example = await start(command, FIGURES, { TIDINGS_TOKEN: token(), PYTHONIOENCODING: "utf-8" });
  running.push(example);
  return { first: example.address, example };
}

for (const [name, command] of Object.entries({
  Node: () => Promise.resolve([process.execPath, join(folder, "node", "index.mjs")]),
  Python: async () => [await python(), "-u", join(folder, "python", "main.py")],
})) {
  test(`the example in ${name} prints the host's figures each second`, async () => {
    const { first, example } = await printed([...(await command()), server.http]);
    const other = new RegExp(FIGURES.source.replace("(", `(?!${first})(`));
    assert.ok((await example.logged(other)) > first);
  });
}

test("the example for a browser shows the host's figures live", async () => {
  const site = await start(
    [process.execPath, join(folder, "browser", "server.mjs")],
    /^open http:\/\/(localhost:\d+)$/,
    { PORT: String(port) },
  );
  running.push(site);
  const { page, complaints } = window();
  const query = new URLSearchParams({ server: server.http, token: token() });
  await page.goto(`${site.http}/?${query}`);
  await page.getByText("Live", { exact: true }).waitFor();
  await page.waitForFunction("/^\\d+\\.\\d %$/.test(document.getElementById('cpu').textContent)");
  assert.ok(!page.url().includes("token"), page.url());
  assert.deepEqual(complaints, []);
});
