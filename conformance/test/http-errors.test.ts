import assert from "node:assert/strict";
import { fixture } from "../lib/fixture.ts";
import { ask, exchange, upgradeByHand } from "../lib/http.ts";
import { facts } from "../lib/reference.ts";
import { engineByWebSocket, joined, Polling } from "../lib/wire.ts";

const server = fixture("matrix");
const fact = facts({
  "WebSocket upgrade with no EIO is 400 before any 101":
    "completes the 101, then writes the 400 into the socket",
  "WebSocket upgrade with EIO=3 is 400 before any 101":
    "completes the 101, then writes the 400 into the socket",
  "WebSocket upgrade with EIO=abc is 400 before any 101":
    "completes the 101, then writes the 400 into the socket",
});

const MESSAGES = [
  "Transport unknown",
  "Session ID unknown",
  "Bad handshake method",
  "Bad request",
  "Forbidden",
  "Unsupported protocol version",
] as const;

interface Row {
  name: string;
  query: string;
  method?: string;
  code: 0 | 1 | 2 | 3 | 5;
}

const POLLING: Row[] = [
  { name: "no transport", query: "EIO=4", code: 0 },
  { name: "an unknown transport", query: "EIO=4&transport=abc", code: 0 },
  { name: "a transport named like a method of objects", query: "EIO=4&transport=constructor", code: 0 },
  { name: "webtransport by HTTP", query: "EIO=4&transport=webtransport", code: 0 },
  { name: "an unknown sid", query: "EIO=4&transport=polling&sid=nobody", code: 1 },
  { name: "a sid named like a member of objects", query: "EIO=4&transport=polling&sid=__proto__", code: 1 },
  { name: "POST with an unknown sid", query: "EIO=4&transport=polling&sid=nobody", method: "POST", code: 1 },
  { name: "POST without sid", query: "EIO=4&transport=polling", method: "POST", code: 2 },
  { name: "PUT without sid", query: "EIO=4&transport=polling", method: "PUT", code: 2 },
  { name: "DELETE without sid", query: "EIO=4&transport=polling", method: "DELETE", code: 2 },
  { name: "OPTIONS that is no preflight", query: "EIO=4&transport=polling", method: "OPTIONS", code: 2 },
  { name: "transport=websocket by plain GET", query: "EIO=4&transport=websocket", code: 3 },
  { name: "no EIO", query: "transport=polling", code: 5 },
  { name: "EIO=3", query: "EIO=3&transport=polling", code: 5 },
  { name: "EIO=5", query: "EIO=5&transport=polling", code: 5 },
  { name: "EIO=abc", query: "EIO=abc&transport=polling", code: 5 },
];

for (const { name, query, method = "GET", code } of POLLING) {
  fact(`polling with ${name} is 400 with code ${code}`, async () => {
    const answer = await ask(`${server.http}/socket.io/?${query}`, { method });
    assert.equal(answer.status, 400);
    assert.match(answer.headers["content-type"] ?? "", /^application\/json/);
    assert.deepEqual(JSON.parse(answer.body), { code, message: MESSAGES[code] });
  });
}

fact("polling on the sid of a WebSocket session is 400 with code 3", async () => {
  const wire = await engineByWebSocket(server);
  const answer = await ask(`${server.http}/socket.io/?EIO=4&transport=polling&sid=${wire.handshake.sid}`);
  assert.equal(answer.status, 400);
  assert.deepEqual(JSON.parse(answer.body), { code: 3, message: MESSAGES[3] });
  assert.ok(wire.isOpen, "the session itself lives on");
});

fact("polling with another EIO than the session's is 400 with code 3", async () => {
  const polling = await Polling.open(server);
  const answer = await ask(polling.url.replace("EIO=4", "EIO=3"));
  assert.equal(answer.status, 400);
  assert.deepEqual(JSON.parse(answer.body), { code: 3, message: MESSAGES[3] });
});

fact("an Origin with a control character in it is refused", async () => {
  const path = "/socket.io/?EIO=4&transport=polling";
  const answer = await exchange(
    server.address,
    `GET ${path} HTTP/1.1\r\nHost: a\r\nOrigin: http://a\x01b\r\nConnection: close\r\n\r\n`,
  );
  assert.match(answer, /^HTTP\/1\.1 400 /);
});

fact("PUT on a living sid is an error with no body, and the session lives on", async () => {
  const polling = await Polling.open(server);
  const answer = await ask(polling.url, { method: "PUT" });
  // Node says 500; a client error by its proper name is as good, no client looks.
  assert.ok([400, 405, 500].includes(answer.status), `status ${answer.status}`);
  assert.equal(answer.body, "");
  assert.equal((await polling.post("40")).status, 200);
});

fact("a path without the trailing slash is not the endpoint", async () => {
  const answer = await ask(`${server.http}/socket.io?EIO=4&transport=polling`);
  assert.equal(answer.status, 404);
});

const UPGRADES: Row[] = [
  { name: "no transport", query: "EIO=4", code: 0 },
  { name: "an unknown transport", query: "EIO=4&transport=abc", code: 0 },
  { name: "an unknown sid", query: "EIO=4&transport=websocket&sid=nobody", code: 1 },
  { name: "no EIO", query: "transport=websocket", code: 5 },
  { name: "EIO=3", query: "EIO=3&transport=websocket", code: 5 },
  { name: "EIO=abc", query: "EIO=abc&transport=websocket", code: 5 },
];

for (const { name, query, code } of UPGRADES) {
  fact(`WebSocket upgrade with ${name} is 400 before any 101`, async () => {
    const answer = await upgradeByHand(server.address, `/socket.io/?${query}`);
    const [head = "", body] = answer.split("\r\n\r\n");
    assert.match(head, /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(head, /^connection: close$/im);
    assert.match(head, /^content-type: text\/html/im);
    assert.equal(body, MESSAGES[code]);
  });
}

fact("a WebSocket upgrade beside the endpoint's path never succeeds", async () => {
  const answer = await upgradeByHand(server.address, "/elsewhere/?EIO=4&transport=websocket");
  assert.doesNotMatch(answer, /^HTTP\/1\.1 101/);
});

fact("the handshake announces the session in exactly five keys", async () => {
  const { handshake } = await Polling.open(server);
  assert.deepEqual(Object.keys(handshake).sort(), [
    "maxPayload",
    "pingInterval",
    "pingTimeout",
    "sid",
    "upgrades",
  ]);
  assert.deepEqual(
    { ...handshake, sid: "" },
    {
      sid: "",
      upgrades: ["websocket"],
      pingInterval: 25_000,
      pingTimeout: 20_000,
      maxPayload: 1_000_000,
    },
  );
  assert.deepEqual((await engineByWebSocket(server)).handshake.upgrades, []);
});

fact("the session's sid and the socket's id are different secrets of twenty characters", async () => {
  const polling = await Polling.open(server);
  await polling.post("40");
  const [connect = ""] = await polling.until((packet) => packet.startsWith("40"));
  const { sid } = JSON.parse(connect.slice(2)) as { sid: string };
  assert.equal(sid.length, 20);
  assert.ok(polling.handshake.sid.length >= 20);
  assert.notEqual(sid, polling.handshake.sid);
});

fact("polling answers carry the headers caches and browsers rely on", async () => {
  const polling = await Polling.open(server);
  const posted = await polling.post("40");
  assert.equal(posted.status, 200);
  assert.equal(posted.body, "ok");
  assert.match(posted.headers["content-type"] ?? "", /^text\/html/);
  assert.equal(posted.headers["cache-control"], "no-store");
  const got = await polling.get();
  assert.equal(got.status, 200);
  assert.equal(got.headers["content-type"], "text/plain; charset=UTF-8");
  assert.equal(got.headers["cache-control"], "no-store");
  assert.equal(got.headers["content-length"], String(Buffer.byteLength(got.body)));
  assert.equal(got.headers["set-cookie"], undefined, "the session's key is no cookie");
});

fact("a bad request leaves other sessions alone", async () => {
  const wire = await joined(server);
  await ask(`${server.http}/socket.io/?EIO=9`);
  wire.send('421["message-with-ack","still here"]');
  assert.equal(await wire.heard.next(), '431["still here"]');
});
