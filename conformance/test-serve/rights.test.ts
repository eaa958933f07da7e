import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { NEWEST } from "../lib/clients.ts";
import {
  byPlain,
  bySocketIo,
  closeDoors,
  hear,
  openPlain,
  plainMember,
  say,
  type Ack,
} from "../lib/doors.ts";
import { ask } from "../lib/http.ts";
import type { Running } from "../lib/process.ts";
import { mint, startServer, type Claims } from "../lib/serve.ts";

/** The rules of the configuration; a kind is named by the places of its rules for each action. */
const RULES = [
  "anyone",
  "signed-in",
  "verified",
  "role:editor",
  "claim:plan=pro",
  "owner",
  "server",
  "nobody",
];
const ACTIONS = ["subscribe", "publish", "history", "presence"] as const;
type Action = (typeof ACTIONS)[number];

/** Somebody, by what the token says; without claims it is nobody in particular. */
const PEOPLE: Record<string, Claims | undefined> = {
  nobody: undefined,
  somebody: { sub: "bob" },
  "the owner": { sub: "alice" },
  "the owner's namesake abroad": { sub: "alice", org: "globex" },
  "somebody with a confirmed address": { sub: "bob", email_verified: true },
  "an editor": { sub: "bob", roles: ["editor"] },
  "one who pays": { sub: "bob", plan: "pro" },
  "one with nearly the right words": { sub: "bob", roles: ["Editor", "editors"], plan: "pro2", scope: "pub" },
  "an administrator": { sub: "root", roles: ["admin"] },
  "a server": { sub: "backend", scope: "publish" },
};

/** The reference: whether a rule names somebody, in a room whose id is `alice`. */
function names(rule: string, claims: Claims | undefined): boolean {
  const has = (claim: string, word: string) => {
    const said = claims?.[claim];
    return Array.isArray(said) ? said.includes(word) : said === word;
  };
  switch (rule) {
    case "anyone":
      return true;
    case "signed-in":
      return claims !== undefined;
    case "verified":
      return claims?.["email_verified"] === true;
    case "role:editor":
      return has("roles", "editor");
    case "claim:plan=pro":
      return has("plan", "pro");
    case "owner":
      return claims?.["sub"] === "alice";
    case "server":
      return has("roles", "admin") || has("scope", "publish");
    default:
      return false;
  }
}

/** What is seen is refused openly, what is not seen is not there. */
function expected(rules: Record<Action, string>, action: Action, claims: Claims | undefined): string {
  if (names(rules[action], claims)) return "ok";
  return names(rules.subscribe, claims) ? "forbidden" : "not_found";
}

/** Every rule for every action, beside every rule for hearing the room. */
const KINDS: [kind: string, rules: Record<Action, string>][] = RULES.flatMap((hears, i) =>
  RULES.map((others, j): [string, Record<Action, string>] => [
    `k${i}${j}`,
    { subscribe: hears, publish: others, history: others, presence: others },
  ]),
);

let folder: string;
let running: Running;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidings-rights-"));
  const config = join(folder, "tidings.toml");
  const kinds = KINDS.map(([kind, rules]) => {
    const lines = ACTIONS.map((action) => `${action} = "${rules[action]}"`);
    return [`[rooms.${kind}]`, ...lines, 'keep = "recent"'].join("\n");
  });
  writeFileSync(config, kinds.join("\n"));
  running = await startServer(["--no-limits", "--config", config]);
});

after(async () => {
  await running?.stop();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(closeDoors);

/** Tries an action in a room and answers `ok` or the code of the refusal. */
type Try = (action: Action, room: string) => Promise<string>;
/** Comes in as somebody. */
type Enter = (claims: Claims | undefined) => Promise<Try>;

const outcome = (ack: Ack) => (ack.ok ? "ok" : (ack.error?.code ?? "no code"));
const body = (action: Action, room: string) =>
  action === "publish" ? { room, event: "e", data: 1 } : { room };

const DOORS: Record<string, Enter> = {
  "Socket.IO by WebSocket": bySocket(bySocketIo()),
  "Socket.IO by polling": bySocket(bySocketIo({ ...NEWEST, transport: "polling" })),
  "Socket.IO with msgpack": bySocket(bySocketIo({ ...NEWEST, parser: "msgpack" })),
  "the plain protocol": async (claims) => {
    if (claims) return bySocket(byPlain)(claims);
    const wire = await openPlain(running);
    say(wire, { type: "auth" });
    await hear(wire, "auth:ok");
    const member = plainMember(wire);
    return async (action, room) => outcome(await member.command(action, body(action, room)));
  },
  HTTP: (claims) => {
    const headers = { authorization: `Bearer ${mint(claims ?? {})}`, "content-type": "application/json" };
    return Promise.resolve(async (action, room) => {
      const answer =
        action === "publish"
          ? ask(`${running.http}/api/publish`, {
              method: "POST",
              headers,
              body: JSON.stringify(body(action, room)),
            })
          : ask(`${running.http}/api/rooms/${encodeURIComponent(room)}/${action}`, { headers });
      return outcome(JSON.parse((await answer).body) as Ack);
    });
  },
};

function bySocket(door: typeof byPlain): Enter {
  return async (claims) => {
    const member = await door(running, mint(claims ?? {}));
    return async (action, room) => {
      const said = outcome(await member.command(action, body(action, room)));
      if (action === "subscribe" && said === "ok") await member.command("unsubscribe", { room });
      return said;
    };
  };
}

for (const [door, enter] of Object.entries(DOORS)) {
  describe(`by ${door}`, () => {
    for (const [who, claims] of Object.entries(PEOPLE)) {
      // Without a token there is the plain protocol alone, and subscribing is for connections.
      if (!claims && door !== "the plain protocol") continue;
      const actions = ACTIONS.filter((action) => door !== "HTTP" || action !== "subscribe");
      test(`${who} may do what the reference says`, async () => {
        const attempt = await enter(claims);
        const wrong: string[] = [];
        for (const [kind, rules] of KINDS) {
          for (const action of actions) {
            const [found, wanted] = [await attempt(action, `${kind}:alice`), expected(rules, action, claims)];
            if (found !== wanted)
              wrong.push(`${action} where ${JSON.stringify(rules)}: ${found}, not ${wanted}`);
          }
        }
        assert.deepEqual(wrong, []);
      });
    }
  });
}
