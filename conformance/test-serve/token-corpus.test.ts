import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { heard, NEWEST, open, type Kind } from "../lib/clients.ts";
import { closeDoors, openPlain, say, type Message } from "../lib/doors.ts";
import { ask } from "../lib/http.ts";
import type { Running } from "../lib/process.ts";
import { SECRET, startServer } from "../lib/serve.ts";
import { until } from "../lib/wait.ts";
import { constant, ecdsa, eddsa, hmac, inSeconds, KEYS, rsa, token, tokenOfTexts } from "../lib/signers.ts";

const RSA = "https://rsa.example/";
const SET = "https://set.example/";
const HS = "https://hs.example/";
const HS_SECRET = "the secret of one issuer alone, also long enough";
const PEM = KEYS.rsa.publicKey.export({ type: "spki", format: "pem" }).toString();

/** A server of keys that counts how often it is asked. */
interface Keys {
  url: string;
  asked: number;
  server: Server;
}

let fetched: Keys;
let trap: Keys;
let folder: string;
let running: Running;
const server = () => running;

async function keyServer(): Promise<Keys> {
  const jwk = { ...KEYS.rsa.publicKey.export({ format: "jwk" }), kid: "web-1", alg: "RS256", use: "sig" };
  const keys: Keys = { url: "", asked: 0, server: createServer() };
  keys.server.on("request", (_, response) => {
    keys.asked += 1;
    response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: [jwk] }));
  });
  await once(keys.server.listen(0, "127.0.0.1"), "listening");
  keys.url = `http://127.0.0.1:${(keys.server.address() as AddressInfo).port}/jwks.json`;
  return keys;
}

before(async () => {
  [fetched, trap] = [await keyServer(), await keyServer()];
  folder = mkdtempSync(join(tmpdir(), "tidings-corpus-"));
  const file = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return JSON.stringify(path);
  };
  const set = [
    { ...KEYS.p256.publicKey.export({ format: "jwk" }), kid: "es-1", alg: "ES256" },
    { ...KEYS.ed25519.publicKey.export({ format: "jwk" }), kid: "ed-1", alg: "EdDSA" },
  ];
  const config = join(folder, "tidings.toml");
  writeFileSync(
    config,
    `[[auth.issuers]]
issuer = "${RSA}"
audience = ["tidings-api"]
org = "acme"
public_key_file = ${file("rsa.pem", PEM)}
[[auth.issuers]]
issuer = "${SET}"
jwks_file = ${file("set.json", JSON.stringify({ keys: set }))}
[[auth.issuers]]
issuer = "${HS}"
secret_file = ${file("hs", HS_SECRET)}
algorithm = "HS512"
[[auth.issuers]]
issuer = "${fetched.url}"
jwks_url = "${fetched.url}"
`,
  );
  running = await startServer(["--no-limits", "--config", config]);
  // A token that came before the first answer would have the server ask once more.
  const known = `tidings_issuer_keys{issuer="${fetched.url}"} 1`;
  await until(async () => (await ask(`${server().http}/metrics`)).body.includes(known), "the fetched key");
});

after(async () => {
  await running?.stop();
  for (const keys of [fetched, trap]) keys.server.close();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(closeDoors);

/** `ok`, or the code of the refusal. */
type Outcome = string;

const DOORS: Record<string, (text: string) => Promise<Outcome>> = {
  "Socket.IO by WebSocket": (text) => bySocketIo(NEWEST, text),
  "Socket.IO by polling": (text) => bySocketIo({ ...NEWEST, transport: "polling" }, text),
  "the plain protocol": async (text) => {
    const wire = await openPlain(server());
    say(wire, { type: "auth", token: text });
    const answer = JSON.parse((await wire.heard.next("the answer to auth")).toString()) as Message;
    if (answer.type === "auth:ok") return "ok";
    assert.equal((await wire.end()).code, 4401);
    return (answer["error"] as { code: string }).code;
  },
  HTTP: async (text) => {
    const answer = await ask(`${server().http}/api/rooms/${encodeURIComponent("lobby:x")}/history`, {
      headers: { authorization: `Bearer ${Buffer.from(text).toString("latin1")}` },
    });
    if (answer.status === 200) return "ok";
    assert.equal(answer.status, 401, answer.body);
    return (JSON.parse(answer.body) as { error: { code: string } }).error.code;
  },
};

async function bySocketIo(kind: Kind, text: string): Promise<Outcome> {
  const client = open(kind, server(), { auth: { token: text }, reconnection: false });
  const refused = heard(client, "connect_error") as Promise<[Error & { data?: { code: string } }]>;
  const outcome = await Promise.race([
    heard(client, "connect").then(() => "ok"),
    refused.then(([error]) => error.data?.code ?? error.message),
  ]);
  client.disconnect();
  return outcome;
}

const fromRsa = (claims: object = {}) => ({ iss: RSA, aud: "tidings-api", ...claims });
const byRsa = rsa(KEYS.rsa.privateKey);
const rs = (claims: object = {}, header: object = {}) =>
  token(fromRsa(claims), { alg: "RS256", ...header }, byRsa);
const es = (header: object = {}, signer = ecdsa(KEYS.p256.privateKey)) =>
  token({ iss: SET }, { alg: "ES256", kid: "es-1", ...header }, signer);
const ed = (signer = eddsa(KEYS.ed25519.privateKey)) =>
  token({ iss: SET }, { alg: "EdDSA", kid: "ed-1" }, signer);
const claimsText = (more: string) => tokenOfTexts('{"alg":"HS256"}', `{"sub":"ada",${more}}`);

const GOOD: [name: string, make: () => string][] = [
  ["HS256 of the shared secret", () => token({})],
  ["RS256 by a PEM key", () => rs()],
  ["RS256 with an audience among others", () => rs({ aud: ["x", "tidings-api"] })],
  [
    "RS256 by a key that is fetched",
    () => token({ iss: fetched.url }, { alg: "RS256", kid: "web-1" }, byRsa),
  ],
  ["ES256 by a key set", () => es()],
  ["EdDSA by a key set", () => ed()],
  ["HS512 of one issuer", () => token({ iss: HS }, { alg: "HS512" }, hmac(HS_SECRET, "sha512"))],
  ["a number as the user", () => token({ sub: undefined, userId: 42 })],
  ["clocks that differ a little", () => token({ exp: inSeconds(60), nbf: inSeconds(20) })],
];

const BAD: [name: string, make: () => string, code?: "token_expired"][] = [
  ["alg none", () => token({}, { alg: "none" }, constant(Buffer.alloc(0)))],
  ["alg None", () => token({}, { alg: "None" }, constant(Buffer.alloc(0)))],
  ["no alg", () => token({}, { alg: undefined })],
  ["hs256 in small letters", () => token({}, { alg: "hs256" })],
  ["an alg that stands twice", () => tokenOfTexts('{"alg":"none","alg":"HS256"}', '{"sub":"ada","exp":9e9}')],
  ["no signature", () => token({}, {}, constant(Buffer.alloc(0)))],
  ["another secret", () => token({}, {}, hmac("another key of at least 32 bytes!!"))],
  ["HS384 with the HS256 secret", () => token({}, { alg: "HS384" }, hmac(SECRET, "sha384"))],
  ["HS256 with the public PEM", () => token(fromRsa(), {}, hmac(PEM))],
  ["HS256 with the public PEM, without its issuer", () => token({}, {}, hmac(PEM))],
  [
    "HS256 with the public DER",
    () => token(fromRsa(), {}, hmac(KEYS.rsa.publicKey.export({ type: "spki", format: "der" }))),
  ],
  ["RS256 by another key", () => token(fromRsa(), { alg: "RS256" }, rsa(KEYS.otherRsa.privateKey))],
  ["RS256 with a signature of zeros", () => token(fromRsa(), { alg: "RS256" }, constant(Buffer.alloc(256)))],
  ["RS512 with the RS256 key", () => token(fromRsa(), { alg: "RS512" }, rsa(KEYS.rsa.privateKey, "sha512"))],
  ["ES256 with r = s = 0", () => es({}, constant(Buffer.alloc(64)))],
  ["ES256 in DER", () => es({}, (signed) => rsa(KEYS.p256.privateKey)(signed))],
  ["EdDSA with a signature of zeros", () => ed(constant(Buffer.alloc(64)))],
  ["the shared secret in an issuer's name", () => token(fromRsa())],
  [
    "one issuer's key in another's name",
    () => token(fromRsa(), { alg: "ES256", kid: "es-1" }, ecdsa(KEYS.p256.privateKey)),
  ],
  ["a kid that is a path", () => token({}, { kid: "../../dev/null" })],
  ["a kid that is a path, signed with nothing", () => token({}, { kid: "/dev/null" }, hmac(""))],
  ["a kid that is SQL", () => token({}, { kid: "' OR 1=1 --" })],
  ["an unknown kid", () => es({ kid: "es-9" })],
  ["the kid of another key", () => es({ kid: "ed-1" })],
  ["jku", () => rs({}, { jku: trap.url, kid: "web-1" })],
  ["x5u", () => rs({}, { x5u: trap.url })],
  ["jwk", () => rs({}, { jwk: KEYS.rsa.publicKey.export({ format: "jwk" }) })],
  ["an unknown crit", () => token({}, { crit: ["exp"] })],
  ["an issuer that is an address", () => token({ iss: trap.url }, { alg: "RS256", kid: "web-1" }, byRsa)],
  ["another organisation than the issuer's", () => rs({ org: "globex" })],
  ["no audience", () => rs({ aud: undefined })],
  ["another audience", () => rs({ aud: "other" })],
  ["no end", () => token({ exp: undefined })],
  ["a negative end", () => token({ exp: -1 })],
  ["an end that is a text", () => token({ exp: String(inSeconds(300)) })],
  ["an endless end", () => claimsText('"exp":1e400')],
  ["an end in the past", () => token({ exp: inSeconds(-1) }), "token_expired"],
  ["a beginning in the future", () => token({ nbf: inSeconds(60) })],
  ["no user", () => token({ sub: undefined })],
  ["a user of 201 bytes", () => token({ sub: "u".repeat(201) })],
  ["a user with a line break", () => token({ sub: "a\nb" })],
  ["a claim that stands twice", () => claimsText(`"sub":"root","exp":${inSeconds(300)}`)],
  [
    "a bomb of brackets",
    () => claimsText(`"exp":${inSeconds(300)},"a":${"[".repeat(1000)}${"]".repeat(1000)}`),
  ],
  ["a refresh token", () => token({}, { typ: "refresh" })],
  ["a subscription token", () => token({ typ: "subscription" })],
  ["an identity token", () => token({ typ: "ID" })],
  ["two parts", () => token({}).split(".").slice(0, 2).join(".")],
  ["four parts", () => `${token({})}.x`],
  ["8 KB and more", () => "a".repeat(8_193)],
];

for (const [door, enter] of Object.entries(DOORS)) {
  describe(`by ${door}`, () => {
    for (const [name, make] of GOOD) {
      test(`${name} is taken`, async () => {
        assert.equal(await enter(make()), "ok");
      });
    }
    for (const [name, make, code = "unauthorized"] of BAD) {
      test(`${name} is refused`, async () => {
        assert.equal(await enter(make()), code);
      });
    }
  });
}

test("no token made the server ask anybody, beyond the one address that is configured", () => {
  assert.ok(BAD.length + GOOD.length > 50);
  assert.equal(trap.asked, 0);
  assert.equal(fetched.asked, 1);
});
