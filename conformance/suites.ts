// Runs the three official Socket.IO suites against the fixture: the two protocol suites and the client's own.
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startFixture, type Mode } from "./lib/fixture.ts";
import { emptyScratch, mustRun, run } from "./lib/scratch.ts";

/** The client release whose suite and build are run. */
const CLIENT = "4.8.4";
/** Two tests install a fake clock that must also hold for the server, which is another process here. */
const NEEDS_FAKE_CLOCK = "reconnect timeout";

interface Suite {
  name: string;
  mode: Mode;
  expected: number;
  /** Fetches the suite into `directory`. */
  prepare(directory: string): Promise<void>;
  /** Where the suite's files say its server is. */
  url: string;
  mocha: string[];
}

interface Count {
  passed: number;
  failed: number;
}

const suites: Suite[] = [
  {
    name: "engine.io protocol",
    mode: "protocol",
    expected: 25,
    prepare: (directory) => protocolSuite("docs/engine.io-protocol/v4-test-suite", directory),
    url: "http://localhost:3000",
    mocha: ["test-suite.js"],
  },
  {
    name: "socket.io protocol",
    mode: "protocol",
    expected: 32,
    prepare: (directory) => protocolSuite("docs/socket.io-protocol/v5-test-suite", directory),
    url: "http://localhost:3000",
    mocha: ["test-suite.js"],
  },
  {
    name: `socket.io-client ${CLIENT}`,
    mode: "client",
    expected: 109,
    prepare: clientSuite,
    url: "http://localhost:3210",
    mocha: ["--import=tsx", "--exit", "--grep", NEEDS_FAKE_CLOCK, "--invert", "test/index.ts"],
  },
];

async function main(): Promise<number> {
  if (!process.env["SOCKETIO_REPO"]) {
    console.log(
      "SKIPPED: SOCKETIO_REPO names no clone of socketio/socket.io, the official suites did not run",
    );
    return 0;
  }
  const total: Count = { passed: 0, failed: 0 };
  let complete = true;
  for (const suite of suites) {
    const { passed, failed } = await runSuite(suite);
    const verdict = passed === suite.expected && failed === 0;
    complete &&= verdict;
    total.passed += passed;
    total.failed += failed;
    console.log(
      `${verdict ? "ok" : "FAILED"}  ${suite.name}: ${passed} of ${suite.expected}, ${failed} failed`,
    );
  }
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return complete ? 0 : 1;
}

async function runSuite(suite: Suite): Promise<Count> {
  const directory = emptyScratch(`suites/${suite.name.replaceAll(/[^a-z0-9]+/gi, "-")}`);
  await suite.prepare(directory);
  const server = await startFixture(suite.mode);
  try {
    replaceUrl(directory, suite.url, server.http);
    const report = join(directory, "report.json");
    const finished = await run(
      ["npx", "mocha", "--reporter", "json", "--reporter-option", `output=${report}`, ...suite.mocha],
      { cwd: directory, deadline: 180_000 },
    );
    return count(report, finished.stdout + finished.stderr);
  } finally {
    await server.stop();
  }
}

interface Report {
  tests: { fullTitle: string; err: { message?: string } }[];
  passes: { fullTitle: string }[];
  failures: { fullTitle: string; err: { message?: string } }[];
}

/** Counts the tests themselves instead of believing a summary; no report at all is a failure. */
function count(file: string, output: string): Count {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, "utf8")) as Report;
  } catch {
    console.log(output);
    return { passed: 0, failed: 1 };
  }
  for (const { fullTitle, err } of report.failures)
    console.log(`  failed: ${fullTitle}: ${err.message ?? ""}`);
  return { passed: report.passes.length, failed: report.failures.length };
}

/** Unpacks `paths` of the newest commit of SOCKETIO_REPO, which may be a clone or a bare git directory. */
async function unpack(tree: string, paths: string[], directory: string): Promise<void> {
  const repository = process.env["SOCKETIO_REPO"] ?? "";
  const git = ["git", "-c", "safe.directory=*", "-C", repository];
  const tar = await mustRun([...git, "archive", "--format=tar", tree, ...paths]);
  await mustRun(["tar", "x", "-C", directory], { input: Buffer.from(tar, "latin1") });
}

async function protocolSuite(path: string, directory: string): Promise<void> {
  await unpack(`HEAD:${path}`, [], directory);
  await mustRun(["npm", "ci", "--no-audit", "--no-fund"], { cwd: directory });
}

/** The suite of the repository on the published build of the client. */
async function clientSuite(directory: string): Promise<void> {
  await unpack("HEAD:packages/socket.io-client", ["test", "tsconfig.json"], directory);
  await mustRun(["npm", "pack", "--silent", `socket.io-client@${CLIENT}`], { cwd: directory });
  const archive = `socket.io-client-${CLIENT}.tgz`;
  const members = ["package/build", "package/package.json"];
  await mustRun(["tar", "xzf", archive, "--strip-components=1", ...members], { cwd: directory });
  trimManifest(join(directory, "package.json"));
  const tools = [
    "mocha@10",
    "tsx@4.20",
    "expect.js@0.3.1",
    "@sinonjs/fake-timers@11",
    "text-blob-builder@0.0.1",
    "has-cors@1.1.0",
    "base64-arraybuffer@1",
  ];
  const install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-dev", ...tools];
  await mustRun(install, { cwd: directory });
}

/** Keeps the client's own dependencies and drops what only its authors need. */
function trimManifest(file: string): void {
  const manifest = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  delete manifest["scripts"];
  delete manifest["devDependencies"];
  writeFileSync(file, JSON.stringify({ ...manifest, name: "suite", private: true }));
}

/** Points every file of the suite at our server; fails if none named the old one. */
function replaceUrl(directory: string, from: string, to: string): void {
  let replaced = 0;
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    const file = join(directory, name);
    const isSource = /^(test[/\\]|test-suite\.js$)/.test(name) && /\.[jt]s$/.test(name);
    // The tests of the client's url parser never connect; their addresses are their subject.
    if (!isSource || /[/\\]url\.ts$/.test(name) || !statSync(file).isFile()) continue;
    const text = readFileSync(file, "utf8");
    if (!text.includes(from)) continue;
    writeFileSync(file, text.replaceAll(from, to));
    replaced += 1;
  }
  if (replaced === 0) throw new Error(`no file of the suite names ${from}`);
}

process.exitCode = await main();
