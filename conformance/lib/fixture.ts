import { after, before } from "node:test";
import { REFERENCE } from "./reference.ts";
import { start, type Running } from "./process.ts";

export type Mode = "protocol" | "client" | "matrix" | "echo";
export type Parser = "json" | "msgpack";

/** Starts the fixture named by TIDINGS_FIXTURE in `mode` on a free port. */
export function startFixture(mode: Mode, flags: string[] = [], listen = "127.0.0.1:0"): Promise<Running> {
  const command = process.env["TIDINGS_FIXTURE"]?.split(/\s+/).filter(Boolean);
  if (!command?.length) throw new Error("TIDINGS_FIXTURE names no fixture server; see conformance/README.md");
  return start([...command, mode, "--listen", listen, ...flags], /^listening (\S+)$/);
}

/** A fixture that lives as long as the test file (or the suite) that asks for it. */
export function fixture(mode: Mode, flags: string[] = []): Running {
  let running: Running | undefined;
  before(async () => {
    running = await startFixture(mode, flags);
  });
  after(async () => {
    await running?.stop();
  });
  const get = () => {
    if (!running) throw new Error("the fixture is not running");
    return running;
  };
  return {
    get address() {
      return get().address;
    },
    get http() {
      return get().http;
    },
    get ws() {
      return get().ws;
    },
    logged: (pattern) => get().logged(pattern),
    stop: () => get().stop(),
    kill: () => get().kill(),
  };
}

/** One fixture per parser: the reference fixes the parser per server, ours recognises it per session. */
export function matrixFixtures(flags: string[] = []): Record<Parser, Running> {
  const json = fixture("matrix", flags);
  if (!REFERENCE) return { json, msgpack: json };
  return { json, msgpack: fixture("matrix", [...flags, "--parser", "msgpack"]) };
}
