// Runs all cases of the Autobahn WebSocket test suite against the echo fixture.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startFixture } from "./lib/fixture.ts";
import { REFERENCE } from "./lib/reference.ts";
import { emptyScratch, mustRun, run, TOOLS } from "./lib/scratch.ts";

const CASES = 517;
const AGENT = "fixture";
/** Every behaviour but OK that is no failure, and where: UNIMPLEMENTED is what a server without compression is. */
const PASSING = new Set(["OK", "INFORMATIONAL"]);
/** Bad UTF-8 that may be noticed at the end of the message instead of at once. */
const MAY_BE_NON_STRICT = new Set(["6.4.1", "6.4.2", "6.4.3", "6.4.4"]);
const COMPRESSION = new Set(["12", "13"]);
/** `ws` caps the fragments of a message at 16,384 and closes these with 1008. */
const REFERENCE_FAILS = ["9.3.1", "9.3.2", "9.4.1", "9.4.2"];

interface Case {
  behavior: string;
  behaviorClose: string;
}

async function main(): Promise<number> {
  const wstest = await install();
  if (!wstest) {
    console.log("SKIPPED: no python2.7 here, the Autobahn suite did not run (set PYTHON27 to name one)");
    return 0;
  }
  const deflate = process.argv.includes("--deflate");
  const cases = await runCases(wstest, deflate);
  printTable(cases);
  const failed = Object.keys(cases).filter((id) => !passes(id, cases[id] as Case, deflate));
  for (const id of failed.sort(byNumber)) {
    console.log(`  failed: ${id} ${cases[id]?.behavior} / close ${cases[id]?.behaviorClose}`);
  }
  const count = Object.keys(cases).length;
  console.log(`${count - failed.length} passed, ${failed.length} failed, ${count} of ${CASES} cases`);
  const expected = REFERENCE ? REFERENCE_FAILS : [];
  return count === CASES && failed.join() === expected.join() ? 0 : 1;
}

function passes(id: string, { behavior, behaviorClose }: Case, deflate: boolean): boolean {
  const isAbsent = !deflate && behavior === "UNIMPLEMENTED" && COMPRESSION.has(id.split(".")[0] ?? "");
  const isLate = behavior === "NON-STRICT" && MAY_BE_NON_STRICT.has(id);
  return (
    (PASSING.has(behavior) || isAbsent || isLate) &&
    (behaviorClose === "OK" || behaviorClose === "INFORMATIONAL")
  );
}

async function runCases(wstest: string, deflate: boolean): Promise<Record<string, Case>> {
  const directory = emptyScratch("autobahn-run");
  const server = await startFixture("echo", deflate ? ["--deflate"] : []);
  try {
    const specification = join(directory, "fuzzingclient.json");
    writeFileSync(
      specification,
      JSON.stringify({
        outdir: join(directory, "reports"),
        options: { failByDrop: false },
        servers: [{ agent: AGENT, url: `${server.ws}/echo` }],
        cases: ["*"],
        "exclude-cases": [],
        "exclude-agent-cases": {},
      }),
    );
    // Its exit code says nothing: it is 0 with failures, and with no server at all.
    const finished = await run([wstest, "-m", "fuzzingclient", "-s", specification], {
      cwd: directory,
      deadline: 3_600_000,
    });
    const index = join(directory, "reports", "index.json");
    if (!existsSync(index))
      throw new Error(`the suite wrote no report\n${finished.stdout}\n${finished.stderr}`);
    return (JSON.parse(readFileSync(index, "utf8")) as Record<string, Record<string, Case>>)[AGENT] ?? {};
  } finally {
    await server.stop();
  }
}

/** Installs the suite, which is Python 2 only, and answers its program; nothing where there is no Python 2. */
async function install(): Promise<string | undefined> {
  const wstest = join(TOOLS, "autobahn", "bin", "wstest");
  if (existsSync(wstest)) return wstest;
  const python = await python27();
  if (!python) return undefined;
  const requirements = new URL("requirements-autobahn.txt", import.meta.url).pathname;
  const maker = emptyScratch("autobahn-maker");
  await mustRun(["python3", "-m", "venv", maker]);
  // The last line of virtualenv that is able to make environments for 2.7.
  await mustRun([join(maker, "bin/pip"), "install", "--quiet", "virtualenv<20.22"]);
  const environment = emptyScratch("autobahn");
  await mustRun([join(maker, "bin/virtualenv"), "--quiet", "-p", python, environment]);
  await mustRun([join(environment, "bin/pip"), "install", "--quiet", "-r", requirements]);
  return wstest;
}

async function python27(): Promise<string | undefined> {
  const script = "import sys; print(sys.executable); sys.exit(sys.version_info[:2] != (2, 7))";
  for (const candidate of [process.env["PYTHON27"], "python2.7", "python2"]) {
    if (!candidate) continue;
    // With pyenv a name may be a shim that works only while its version is selected.
    const environment = { ...process.env, PYENV_VERSION: process.env["PYENV_VERSION"] ?? "2.7.18" };
    const finished = await run([candidate, "-c", script], { env: environment }).catch(() => undefined);
    if (finished?.code === 0) return finished.stdout.trim();
  }
  return undefined;
}

function printTable(cases: Record<string, Case>): void {
  const groups = new Map<string, Map<string, number>>();
  for (const [id, { behavior }] of Object.entries(cases)) {
    const group = id.split(".")[0] ?? "";
    const counts = groups.get(group) ?? new Map<string, number>();
    groups.set(group, counts.set(behavior, (counts.get(behavior) ?? 0) + 1));
  }
  console.log("group  cases  behaviours");
  for (const [group, counts] of [...groups].sort(([a], [b]) => byNumber(a, b))) {
    const total = [...counts.values()].reduce((sum, each) => sum + each, 0);
    const words = [...counts].map(([behavior, each]) => `${behavior} ${each}`).join(", ");
    console.log(`${group.padStart(5)}  ${String(total).padStart(5)}  ${words}`);
  }
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}

process.exitCode = await main();
