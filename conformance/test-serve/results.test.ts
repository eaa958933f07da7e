import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ROOT } from "../lib/process.ts";
import { run } from "../lib/scratch.ts";
import { mint, served, serverToken, unique } from "../lib/serve.ts";

const FOLDER = join(ROOT, "examples", "results");
const server = served();
const token = serverToken();

/** What a program has said until it ended. */
interface Said {
  out: string;
  err: string;
  status: number | null;
}

/** The three programs, each told where the server is. */
const PROGRAMS: Record<string, (http: string) => string[]> = {
  Node: (http) => [process.execPath, join(FOLDER, "results.mjs"), http],
  Python: (http) => ["python3", join(FOLDER, "results.py"), http],
  Rust: (http) => {
    const program = process.env["TIDINGS_RESULTS"];
    if (!program) throw new Error("TIDINGS_RESULTS names no program; see conformance/README.md");
    return [program, new URL(http).host];
  },
};

async function publish(command: string[], matches: object[], credential = token): Promise<Said> {
  const env = { PATH: process.env["PATH"], TIDINGS_TOKEN: credential };
  const input = Buffer.from(matches.map((match) => `${JSON.stringify(match)}\n`).join(""));
  const { code, stdout, stderr } = await run(command, { cwd: ROOT, env, input, deadline: 60_000 });
  return { out: Buffer.from(stdout, "latin1").toString(), err: stderr, status: code };
}

async function read(path: string): Promise<Record<string, unknown>> {
  const answer = await fetch(`${server().http}/api/arena${path}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return (await answer.json()) as Record<string, unknown>;
}

/** A key as an administrator makes it for a server. */
async function apiKey(): Promise<string> {
  const answer = await fetch(`${server().http}/api/keys`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${serverToken({ scope: "admin" })}`,
      "content-type": "application/json",
    },
    body: JSON.stringify({ name: unique("results"), scopes: ["read", "publish"] }),
  });
  const { key } = (await answer.json()) as { key: string };
  assert.match(key, /^tk_/);
  return key;
}

/** Stands before the server and fails in the two ways there are: not done, and done but not answered. */
class Faltering {
  readonly #listening: Server;
  #results = 0;

  constructor() {
    this.#listening = createServer((asked, answer) => this.#take(asked, answer)).listen(0, "127.0.0.1");
  }

  async listens(): Promise<void> {
    await once(this.#listening, "listening");
  }

  get http(): string {
    return `http://127.0.0.1:${(this.#listening.address() as AddressInfo).port}`;
  }

  get results(): number {
    return this.#results;
  }

  end(): void {
    this.#listening.close();
    this.#listening.closeAllConnections();
  }

  #take(asked: IncomingMessage, answer: ServerResponse): void {
    const result = asked.url?.endsWith("/result") ? ++this.#results : 0;
    if (result === 1) {
      asked.resume();
      const error = { code: "unavailable", message: "on purpose", retryable: true, retryAfterMs: 50 };
      answer.writeHead(503, { "content-type": "application/json" });
      return void answer.end(JSON.stringify({ ok: false, error }));
    }
    const passed = request(
      server().http + asked.url,
      { method: asked.method, headers: asked.headers },
      (told) => {
        if (result === 2) return void told.resume().once("end", () => answer.destroy());
        answer.writeHead(told.statusCode ?? 502, told.headers);
        told.pipe(answer);
      },
    );
    asked.pipe(passed);
  }
}

test("the same line is the same deed, whichever of the programs tells of it", async () => {
  const [winner, loser] = [unique("ada"), unique("bob")];
  const told = { matchId: unique("same"), players: [winner, loser], winnerId: winner };
  const drawn = { matchId: unique("same"), players: [winner, loser] };
  for (const [at, command] of Object.values(PROGRAMS).entries()) {
    const { out, err, status } = await publish(command(server().http), [told, drawn]);
    assert.deepEqual([err, status], ["", 0]);
    assert.equal(out.match(/, as told before\n/g)?.length ?? 0, at === 0 ? 0 : 2);
  }
  assert.equal((await read(`/players/${winner}`))["games"], 2);
});

for (const [name, command] of Object.entries(PROGRAMS)) {
  describe(`the example in ${name}`, () => {
    const [winner, loser, id] = [unique("ada"), unique("bob"), unique("cup.m_1")];
    const match = {
      matchId: id,
      players: [winner, loser],
      winnerId: winner,
      scores: [{ playerId: winner, score: 3 }],
    };
    let faltering: Faltering;

    before(async () => {
      faltering = new Faltering();
      await faltering.listens();
    });
    after(() => faltering.end());

    test("stores a result once, though it was refused once and its answer lost once", async () => {
      const { out, err, status } = await publish(command(faltering.http), [match]);
      assert.deepEqual([err, status], ["", 0]);
      assert.equal(out, `${id}: ${winner} 1220 (20), ${loser} 1180 (-20), as told before\n`);
      assert.equal(faltering.results, 3);
      const stored = await read(`/matches/${id}`);
      assert.equal(stored["status"], "completed");
      assert.equal((await read(`/players/${winner}`))["games"], 1);
    });

    test("with an API key says what is refused, stores no result of it, and goes on with the next line", async () => {
      const bad = { ...match, matchId: unique("bad"), winnerId: "nobody" };
      const good = { matchId: unique("draw"), players: [winner, loser] };
      const { out, err, status } = await publish(command(server().http), [bad, good], await apiKey());
      assert.match(err, /^refused: bad_request: .+\n$/);
      assert.match(out, new RegExp(`^${good.matchId}: .+\\n$`));
      assert.equal(status, 1);
      assert.equal((await read(`/matches/${bad.matchId}`))["result"] ?? null, null);
    });

    test("without a server's rights can publish nothing", async () => {
      const forged = { ...match, matchId: unique("forged") };
      const { out, err, status } = await publish(command(server().http), [forged], mint({ sub: winner }));
      assert.match(err, /^refused: forbidden: /);
      assert.deepEqual([out, status], ["", 1]);
      assert.ok((await read(`/matches/${forged.matchId}`))["error"]);
    });
  });
}
