// A sign-in at this server: requests, and the tokens they need.
//
// The tokens are kept in memory alone: a page that comes later, or a script that looks through what a browser stores,
// finds nothing. Leaving the page ends the sign-in.

// A token is renewed so long before it ends.
const EARLY_MS = 30_000;

// What the server says when it says no.
export class Refusal extends Error {
  constructor({ code, message }) {
    super(message);
    this.code = code;
  }
}

// Sends a body as JSON and answers what comes back; throws a `Refusal`, or what `fetch` throws.
export async function post(path, body, { token, ...options } = {}) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), ...options });
  const answer = await response.json();
  if (!response.ok) throw new Refusal(answer.error);
  return answer;
}

// At whom one may sign in elsewhere; nobody where the server does not say.
export async function providers() {
  try {
    const response = await fetch("/api/auth/providers");
    return response.ok ? (await response.json()).providers : [];
  } catch {
    return [];
  }
}

// Why a provider has sent somebody back without a code, by the code of the refusal; what else stands in the address is
// not repeated, for anybody can write it there.
const SENT_BACK = new Map([
  ["forbidden", "The provider did not let you in, or nobody with that account may sign in here."],
  ["unauthorized", "What the provider said of you is not valid. Try again."],
  ["bad_request", "That sign-in took too long, or was over already. Begin it again."],
  ["unavailable", "The provider cannot be asked now. Try again in a moment."],
]);
export const sentBack = (code) => SENT_BACK.get(code) ?? "Signing in at the provider did not work.";

export class Session {
  #send;
  #now;
  #tokens = null;
  #endsAt = 0;

  // `send` and `now` are for tests.
  constructor({ send = post, now = Date.now } = {}) {
    this.#send = send;
    this.#now = now;
  }

  // Who is signed in, or null.
  get user() {
    return this.#tokens?.user ?? null;
  }

  async signIn(body) {
    this.#take(await this.#send("/api/auth/login", body));
  }

  // With the code with which a provider's sign-in comes back, and that of a second factor if it was asked for.
  async exchange(code, secondCode) {
    const body = secondCode === undefined ? { code } : { code, secondCode };
    this.#take(await this.#send("/api/auth/oidc/exchange", body));
  }

  // Every other sign-in of this user ends; this one goes on with new tokens.
  async changePassword(oldPassword, newPassword) {
    const token = await this.#access();
    this.#take(await this.#send("/api/auth/password", { oldPassword, newPassword }, { token }));
  }

  // Nobody is signed in here from the call on; the answer says whether the server has heard of it.
  async signOut(options = {}) {
    const tokens = this.#tokens;
    this.#tokens = null;
    if (!tokens) return;
    const { refreshToken, accessToken } = tokens;
    // One that has ended would be refused, and the other is enough.
    const token = this.#now() < this.#endsAt ? accessToken : undefined;
    await this.#send("/api/auth/logout", { refreshToken }, { token, ...options });
  }

  async #access() {
    if (this.#now() > this.#endsAt - EARLY_MS) {
      const { refreshToken } = this.#tokens;
      try {
        this.#take(await this.#send("/api/auth/refresh", { refreshToken }));
      } catch (error) {
        // The sign-in has been ended elsewhere.
        if (error instanceof Refusal && error.code === "unauthorized") this.#tokens = null;
        throw error;
      }
    }
    return this.#tokens.accessToken;
  }

  #take(tokens) {
    this.#tokens = tokens;
    this.#endsAt = this.#now() + tokens.expiresIn * 1_000;
  }
}
