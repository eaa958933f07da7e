import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { emptyScratch, mustRun, TOOLS } from "./scratch.ts";

/** A Python with the pinned clients: TIDINGS_PYTHON, or an environment made once in the scratch directory. */
export async function python(): Promise<string> {
  const named = process.env["TIDINGS_PYTHON"];
  if (named) return named;
  const program = join(TOOLS, "python", "bin", "python");
  const marker = join(TOOLS, "python", "complete");
  if (existsSync(marker)) return program;
  const environment = emptyScratch("python");
  await mustRun(["python3", "-m", "venv", environment]);
  const requirements = fileURLToPath(new URL("../requirements.txt", import.meta.url));
  await mustRun([program, "-m", "pip", "install", "--quiet", "-r", requirements]);
  await mustRun(["touch", marker]);
  return program;
}

/** Runs one of the scripts in `python/` and answers the JSON it prints last. */
export async function runScript(name: string, args: string[]): Promise<unknown> {
  const script = fileURLToPath(new URL(`../python/${name}`, import.meta.url));
  const output = await mustRun([await python(), script, ...args], { deadline: 120_000 });
  return JSON.parse(output.trim().split("\n").at(-1) ?? "");
}
