import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { ownPort } from "../../conformance/lib/port.ts";
import { start, type Running } from "../../conformance/lib/process.ts";
import { mint, SECRET, unique } from "../../conformance/lib/serve.ts";

export { mint, serverToken, stranger, unique } from "../../conformance/lib/serve.ts";
export { within } from "../../conformance/lib/wait.ts";

/** The real server, with a data directory that outlives its process. */
export class Served {
  readonly #data = mkdtempSync(join(tmpdir(), "tidings-web-"));
  readonly #flags: string[];
  #running: Running | undefined;
  #address: string | undefined;

  constructor(flags: string[] = [], config = "") {
    const file = join(this.#data, "tidings.toml");
    writeFileSync(file, config);
    this.#flags = ["--config", file, ...flags];
  }

  get http(): string {
    if (!this.#running) throw new Error("the server is not running");
    return this.#running.http;
  }

  /** Starts it, the second time where it was the first time. */
  async start(): Promise<void> {
    const command = process.env["TIDINGS_BIN"]?.split(/\s+/).filter(Boolean);
    if (!command?.length) throw new Error("TIDINGS_BIN names no server; see web/README.md");
    this.#address ??= `127.0.0.1:${await ownPort()}`;
    const where = ["--listen", this.#address, "--data-dir", this.#data];
    const line = /listening on http:\/\/(127\.0\.0\.1:\d+)/;
    this.#running = await start([...command, "serve", ...where, ...this.#flags], line, {
      JWT_SECRET: SECRET,
    });
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    await this.#running?.kill();
  }

  async end(): Promise<void> {
    await this.#running?.stop();
    rmSync(this.#data, { recursive: true, force: true });
  }

  /** Asks its API as a server of the organisation. */
  async post(
    path: string,
    body: unknown,
    token = mint({ sub: unique("backend"), scope: "publish admin" }),
  ): Promise<unknown> {
    return this.#ask("POST", path, token, JSON.stringify(body));
  }

  /** Reads something, as a server of the organisation. */
  get(path: string): Promise<unknown> {
    return this.#ask("GET", path, mint({ sub: unique("backend"), scope: "publish admin" }));
  }

  /** Puts something that needs no body, as a server of the organisation. */
  put(path: string): Promise<unknown> {
    return this.#ask("PUT", path, mint({ sub: unique("backend"), scope: "publish admin" }));
  }

  async #ask(method: string, path: string, token: string, body?: string): Promise<unknown> {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch(this.http + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  publish(room: string, event: string, data: unknown): Promise<unknown> {
    return this.post("/api/publish", { room, event, data });
  }

  /** Says the same so many times, in batches of what a body may hold of two thousand letters. */
  async publishMany(room: string, event: string, data: unknown, times: number): Promise<void> {
    for (let left = times; left > 0; left -= 250) {
      const messages = Array.from({ length: Math.min(left, 250) }, () => ({ room, event, data }));
      await this.post("/api/publish/batch", { messages });
    }
  }
}

/** A server that lives as long as the test file that asks for it. */
export function served(flags: string[] = [], config = ""): Served {
  const server = new Served(flags, config);
  beforeAll(() => server.start(), 90_000);
  afterAll(() => server.end(), 90_000);
  return server;
}
