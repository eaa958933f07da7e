import { createHmac, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { start, type Running } from "./process.ts";

/** The key the server under test and the tokens of the tests share. */
export const SECRET = "conformance-key-of-more-than-32-bytes";

/**
 * Starts `tidings serve`, on a free port unless told which, with an empty data directory of its own; without a secret in
 * `env` it makes one there, as at every first start.
 */
export async function startServer(
  flags: string[] = [],
  listen = "127.0.0.1:0",
  env: NodeJS.ProcessEnv = { JWT_SECRET: SECRET },
): Promise<Running> {
  const command = process.env["TIDINGS_BIN"]?.split(/\s+/).filter(Boolean);
  if (!command?.length) throw new Error("TIDINGS_BIN names no server; see conformance/README.md");
  const data = mkdtempSync(join(tmpdir(), "tidings-conformance-"));
  const running = await start(
    [...command, "serve", "--listen", listen, "--data-dir", data, ...flags],
    /listening on http:\/\/(127\.0\.0\.1:\d+)/,
    env,
  );
  const emptied = async <T>(ending: Promise<T>): Promise<T> => {
    try {
      return await ending;
    } finally {
      rmSync(data, { recursive: true, force: true });
    }
  };
  return { ...running, stop: () => emptied(running.stop()), kill: () => emptied(running.kill()) };
}

/** A server that lives as long as the test file that asks for it. */
export function served(flags: string[] = []): () => Running {
  let running: Running | undefined;
  before(async () => {
    running = await startServer(flags);
  });
  after(async () => {
    await running?.stop();
  });
  return () => {
    if (!running) throw new Error("the server is not running");
    return running;
  };
}

export type Claims = Record<string, unknown>;

/** Mints an HS256 token that is good for five minutes, unless the claims or the key say otherwise. */
export function mint(claims: Claims, { key = SECRET, algorithm = "HS256" } = {}): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const payload = { exp: Math.floor(Date.now() / 1000) + 300, ...claims };
  const signed = `${encode({ alg: algorithm, typ: "JWT" })}.${encode(payload)}`;
  const signature = algorithm === "none" ? "" : createHmac("sha256", key).update(signed).digest("base64url");
  return `${signed}.${signature}`;
}

/** A name no other test uses. */
export function unique(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 8)}`;
}

/** A token of a user no other test uses, with the user's id. */
export function stranger(claims: Claims = {}): { id: string; token: string } {
  const id = unique("user");
  return { id, token: mint({ sub: id, ...claims }) };
}

/** A token that counts as a server of the organisation. */
export function serverToken(claims: Claims = {}): string {
  return mint({ sub: unique("backend"), scope: "publish", ...claims });
}

/** Why a token must not be taken, the token, and the code of the refusal. */
export const BAD_TOKENS: [why: string, token: string, code: "unauthorized" | "token_expired"][] = [
  ["that is no token", "garbage", "unauthorized"],
  [
    "signed with another key",
    mint({ sub: "eve" }, { key: "another key of at least 32 bytes!!" }),
    "unauthorized",
  ],
  ["with algorithm none", mint({ sub: "eve" }, { algorithm: "none" }), "unauthorized"],
  ["with another algorithm's name", mint({ sub: "eve" }, { algorithm: "HS512" }), "unauthorized"],
  ["without a subject", mint({}), "unauthorized"],
  ["without an expiry", mint({ sub: "eve", exp: undefined }), "unauthorized"],
  ["that is not good yet", mint({ sub: "eve", nbf: Math.floor(Date.now() / 1000) + 3600 }), "unauthorized"],
  ["that has expired", mint({ sub: "eve", exp: Math.floor(Date.now() / 1000) - 3600 }), "token_expired"],
];
