import { spawn, type ChildProcess } from "node:child_process";
import { resolve as resolvePath } from "node:path";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
import { until, within } from "./wait.ts";

/** The directory relative paths in the environment are meant from: the root of the repository. */
export const ROOT = resolvePath(fileURLToPath(import.meta.url), "../../..");

/** A server under test: where it listens, and how to end it. */
export interface Running {
  /** `HOST:PORT`. */
  address: string;
  http: string;
  ws: string;
  /** Waits until the first 1,000 lines of output have one that matches; answers what it captures first. */
  logged(pattern: RegExp): Promise<string>;
  /** Sends SIGTERM and waits for the exit; answers the exit code, `null` if a signal ended it. */
  stop(): Promise<number | null>;
  /** Sends SIGKILL and waits until the process is gone. */
  kill(): Promise<void>;
}

/** Starts `command` and waits for the line in which it says where it listens; `line` must capture HOST:PORT. */
export async function start(command: string[], line: RegExp, env: NodeJS.ProcessEnv = {}): Promise<Running> {
  const [program, ...args] = command;
  if (!program) throw new Error("no command to start");
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...inherited(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const log: string[] = [];
  const address = await within(announced(child, line, log), `start of ${command.join(" ")}`, 60_000).catch(
    (error: unknown) => {
      child.kill("SIGKILL");
      throw new Error(`${String(error)}\n${log.join("\n")}`);
    },
  );
  return {
    address,
    http: `http://${address}`,
    ws: `ws://${address}`,
    logged: (pattern) => until(() => captured(log, pattern), `a line like ${pattern.source}`),
    stop: () => stop(child),
    kill: () => kill(child),
  };
}

/** The environment without our own settings: a server takes what begins with TIDINGS_ for its configuration. */
function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TIDINGS_")));
}

function announced(child: ChildProcess, line: RegExp, log: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`exited with ${code} before it listened`)));
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue;
      // Reading on to the end keeps the pipe from filling up.
      createInterface(stream).on("line", (text) => {
        if (log.length < 1_000) log.push(text);
        const address = line.exec(text)?.[1];
        if (address) resolve(address);
      });
    }
  });
}

/** What the first line that matches captures first. */
function captured(log: string[], pattern: RegExp): string | undefined {
  return log.map((line) => pattern.exec(line)?.[1]).find((part) => part !== undefined);
}

async function stop(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exit = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  child.kill("SIGTERM");
  try {
    return await within(exit, "exit after SIGTERM", 30_000);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGKILL");
  await within(exit, "exit after SIGKILL");
}
