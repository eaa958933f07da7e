import { spawn, type SpawnOptions } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./process.ts";

/** The git-ignored directory that fetched and generated things live in. */
export const TOOLS = join(ROOT, ".tools");

/** Makes an empty directory below the scratch directory. */
export function emptyScratch(name: string): string {
  const path = join(TOOLS, name);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  return path;
}

/** What a finished program left behind. */
export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions extends SpawnOptions {
  /** Written to the program's standard input. */
  input?: Buffer;
  /** Milliseconds until the program and everything it started is killed. */
  deadline?: number;
}

/** Runs a program in a process group of its own; whatever it leaves running is killed with the group. */
export function run(
  command: string[],
  { input, deadline = 600_000, ...options }: RunOptions = {},
): Promise<Finished> {
  const [program = "", ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, detached: true, stdio: "pipe" });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (part: Buffer) => out.push(part));
    child.stderr.on("data", (part: Buffer) => err.push(part));
    const timer = setTimeout(() => killGroup(child.pid), deadline);
    child.once("error", reject);
    // A child left behind may hold the pipes open for ever, so it has to go before "close" can come.
    child.once("exit", () => killGroup(child.pid));
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code, stdout: Buffer.concat(out).toString("latin1"), stderr: Buffer.concat(err).toString() });
    });
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

/** Runs a program and fails, with what it said, unless it exits with 0. */
export async function mustRun(command: string[], options?: RunOptions): Promise<string> {
  const { code, stdout, stderr } = await run(command, options);
  if (code !== 0) throw new Error(`${command.join(" ")} exited with ${code}\n${stdout}\n${stderr}`);
  return stdout;
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The group is empty: everything has ended by itself.
  }
}
