import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What its people are called, on every sign-in. */
export const SOMEBODY = { sub: "1098", email: "ada@provider.example", email_verified: true, name: "Ada L." };
export const CLIENT = "tidings-tests";

interface Asked {
  nonce: string;
  challenge: string;
}

/** An OpenID Connect provider on this machine that lets everybody in at once, unless it is told to say no. */
export class Issuer {
  /** With what it sends people back instead of a code. */
  refuses: string | undefined;
  readonly #keys = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  readonly #asked = new Map<string, Asked>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  start(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  end(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", this.url);
    const say = (body: object) =>
      response.setHeader("content-type", "application/json").end(JSON.stringify(body));
    switch (pathname) {
      case "/.well-known/openid-configuration":
        say({
          issuer: this.url,
          authorization_endpoint: `${this.url}/authorize`,
          token_endpoint: `${this.url}/token`,
          jwks_uri: `${this.url}/jwks`,
        });
        break;
      case "/jwks":
        say({
          keys: [{ ...this.#keys.publicKey.export({ format: "jwk" }), kid: "one", alg: "RS256", use: "sig" }],
        });
        break;
      case "/authorize":
        response.writeHead(302, { location: this.#back(searchParams) }).end();
        break;
      case "/token": {
        const form = new URLSearchParams(await textOf(request));
        const token = this.#token(form);
        if (token === undefined) response.statusCode = 400;
        say(token === undefined ? { error: "invalid_grant" } : { token_type: "Bearer", id_token: token });
        break;
      }
      default:
        response.writeHead(404).end();
    }
  }

  #back(asked: URLSearchParams): string {
    const of = (name: string) => asked.get(name) ?? "";
    const back = new URL(of("redirect_uri"));
    back.searchParams.set("state", of("state"));
    if (this.refuses !== undefined) back.searchParams.set("error", this.refuses);
    else {
      const code = `code-${this.#asked.size}`;
      this.#asked.set(code, { nonce: of("nonce"), challenge: of("code_challenge") });
      back.searchParams.set("code", code);
    }
    return back.href;
  }

  /** An ID token for a code, for whoever has the verifier. */
  #token(form: URLSearchParams): string | undefined {
    const asked = this.#asked.get(form.get("code") ?? "");
    const verified = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    if (asked?.challenge !== verified) return undefined;
    const now = Math.floor(Date.now() / 1_000);
    const claims = { ...SOMEBODY, iss: this.url, aud: CLIENT, nonce: asked.nonce, iat: now, exp: now + 600 };
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = `${part({ alg: "RS256", kid: "one", typ: "JWT" })}.${part(claims)}`;
    return `${signed}.${sign("sha256", Buffer.from(signed), this.#keys.privateKey).toString("base64url")}`;
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const part of request) text += String(part);
  return text;
}
