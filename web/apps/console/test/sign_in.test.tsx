import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { SignIn } from "../src/pages/sign_in.tsx";
import { arrive } from "../src/session.ts";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

/** A server that answers everything with a refusal; what it was asked. */
function refusing(status: number, error: object) {
  const asked: { path: string; body: unknown }[] = [];
  const answer = (url: URL, init: RequestInit) => {
    if (url.pathname === "/api/auth/providers") return Promise.resolve(Response.json({ providers: [] }));
    asked.push({
      path: url.pathname,
      body: init.body === undefined ? undefined : JSON.parse(init.body as string),
    });
    return Promise.resolve(Response.json({ ok: false, error }, { status }));
  };
  vi.stubGlobal("fetch", answer);
  return asked;
}

function signIn(fields: Record<string, string>, button: string): void {
  for (const [label, value] of Object.entries(fields))
    fireEvent.change(screen.getByLabelText(label), { target: { value } });
  fireEvent.click(screen.getByRole("button", { name: button }));
}

test("a wrong password is said to the server once", async () => {
  const asked = refusing(401, { code: "unauthorized", message: "it is wrong" });
  render(<SignIn />);
  signIn({ "E-mail address": "ada@example.com", Password: "guessed" }, "Sign in");
  expect((await screen.findByText("it is wrong")).getAttribute("role")).toBe("alert");
  expect(asked.map(({ path }) => path)).toEqual(["/api/auth/login"]);
});

test("a password is said as it was typed, with the blanks around it; an address without them", async () => {
  const asked = refusing(401, { code: "unauthorized", message: "it is wrong" });
  render(<SignIn />);
  signIn({ "E-mail address": " ada@example.com ", Password: " a secret  " }, "Sign in");
  await screen.findByText("it is wrong");
  expect(asked.map(({ body }) => body)).toEqual([{ email: "ada@example.com", password: " a secret  " }]);
});

test("a token that is not taken, and is all there is, is said to the server once", async () => {
  const asked = refusing(401, { code: "unauthorized", message: "it is wrong" });
  render(<SignIn />);
  signIn({ Token: "garbage" }, "Use the token");
  await screen.findByText("it is wrong");
  expect(asked.map(({ path }) => path)).toEqual(["/api/rooms"]);
});

test("who has tried too often is told how long to wait", async () => {
  refusing(429, { code: "rate_limited", message: "too many attempts", retryAfterMs: 899_001 });
  render(<SignIn />);
  signIn({ "E-mail address": "ada@example.com", Password: "guessed" }, "Sign in");
  await screen.findByText("too many attempts (try again in 15 min)");
});

test("an organisation is said if one is named, and not otherwise", async () => {
  const asked = refusing(401, { code: "unauthorized", message: "it is wrong" });
  render(<SignIn />);
  const fields = { "E-mail address": "ada@example.com", Password: "secret" };
  signIn({ ...fields, "Organisation, if you were told one": "acme" }, "Sign in");
  await screen.findByText("it is wrong");
  expect(asked.map(({ body }) => body)).toEqual([
    { email: "ada@example.com", password: "secret", org: "acme" },
  ]);
  cleanup();
  render(<SignIn />);
  signIn(fields, "Sign in");
  await screen.findByText("it is wrong");
  expect(asked[1]?.body).toEqual({ email: "ada@example.com", password: "secret" });
});

const CODE = "Code of your second factor";

test("a code is asked for once the password is right, and said with it", async () => {
  const asked = refusing(403, { code: "second_factor", message: "the code is wrong" });
  render(<SignIn />);
  expect(screen.queryByLabelText(CODE)).toBeNull();
  const fields = { "E-mail address": "ada@example.com", Password: "secret" };
  signIn(fields, "Sign in");
  await screen.findByLabelText(CODE);
  expect(screen.queryByText("the code is wrong")).toBeNull();
  signIn({ [CODE]: "123456" }, "Sign in");
  await screen.findByText("the code is wrong");
  const said = { email: "ada@example.com", password: "secret" };
  expect(asked.map(({ body }) => body)).toEqual([said, { ...said, code: "123456" }]);
});

test("who comes back from a provider is asked for the code of a second factor as well", async () => {
  const asked = refusing(403, { code: "second_factor", message: "the code is wrong" });
  render(<SignIn />);
  await act(() => arrive({ code: "of the provider", error: null }));
  signIn({ [CODE]: "123456" }, "Go on");
  await screen.findByText("the code is wrong");
  expect(asked.map(({ body }) => body)).toEqual([
    { code: "of the provider" },
    { code: "of the provider", secondCode: "123456" },
  ]);
});
