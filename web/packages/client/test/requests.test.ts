import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Client, Refusal } from "@tidings/client";

const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

/** Where a server answers like this. */
async function answering(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  closing.push(() => server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const thrownBy = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

/** The code and whether it may be tried again, of a rejection that has to be a refusal. */
async function refusedBy(promise: Promise<unknown>): Promise<[string, boolean]> {
  const error = await thrownBy(promise);
  expect(error).toBeInstanceOf(Refusal);
  const { code, retryable } = error as Refusal;
  return [code, retryable];
}

test("a request to a server that is not there is refused as unavailable", async () => {
  const client = new Client({ url: "http://127.0.0.1:9" });
  expect(await refusedBy(client.request("/api/apps"))).toEqual(["unavailable", true]);
  expect(await thrownBy(client.request("/api/apps"))).toMatchObject({
    message: "fetch failed",
  });
});

test("an answer that breaks off is refused as unavailable", async () => {
  const url = await answering((_request, response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
    response.write('{"ok":', () => response.destroy());
  });
  expect(await refusedBy(new Client({ url }).request("/api/apps"))).toEqual(["unavailable", true]);
});

test("who ends a request is told its own reason", async () => {
  const url = await answering(() => {});
  const ending = new AbortController();
  const request = thrownBy(new Client({ url }).request("/api/apps", { signal: ending.signal }));
  ending.abort();
  expect(await request).toMatchObject({ name: "AbortError" });
});

test("a proxy that cannot reach the server says unavailable, and anything else is its status", async () => {
  const url = await answering((request, response) => {
    response.writeHead(Number(request.url?.slice(1)), "", { "content-type": "text/html" });
    response.end("<h1>no</h1>");
  });
  const client = new Client({ url });
  expect(await refusedBy(client.request("/502"))).toEqual(["unavailable", true]);
  expect(await refusedBy(client.request("/418"))).toEqual(["418", false]);
});

test("the token goes to the client's own server alone", async () => {
  const asked: unknown[] = [];
  const elsewhere = await answering((request, response) => {
    asked.push(request.headers.authorization);
    response.end();
  });
  const client = new Client({ url: "http://127.0.0.1:9", token: "secret" });
  for (const path of [`${elsewhere}/api`, elsewhere.slice("http:".length)])
    expect(await refusedBy(client.request(path))).toEqual(["bad_request", false]);
  expect(asked).toEqual([]);
});

test("a token that cannot be had is a refusal, too", async () => {
  const token = () => Promise.reject(new Error("signed out"));
  const client = new Client({ url: "http://127.0.0.1:9", token });
  expect(await refusedBy(client.request("/api/apps"))).toEqual(["unavailable", true]);
});
