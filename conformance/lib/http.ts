import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";
import { connect, type Socket } from "node:net";
import { within } from "./wait.ts";

/** A whole HTTP answer. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Asked {
  method?: string;
  headers?: OutgoingHttpHeaders;
  /** Body; several chunks are written one by one. */
  body?: string | Buffer | Buffer[];
  signal?: AbortSignal;
  /** Milliseconds. */
  deadline?: number;
}

/** Sends one request on a connection of its own. */
export function ask(
  url: string,
  { method = "GET", headers, body, signal, deadline }: Asked = {},
): Promise<Answer> {
  const answer = new Promise<Answer>((resolve, reject) => {
    const chunks = body === undefined ? [] : Array.isArray(body) ? body : [body];
    const length =
      Array.isArray(body) || body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const sent = request(
      url,
      { method, agent: false, headers: { ...length, ...headers }, ...(signal && { signal }) },
      (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(parts).toString(),
          }),
        );
      },
    );
    sent.on("error", reject);
    for (const chunk of chunks) sent.write(chunk);
    sent.end();
  });
  return within(answer, `${method} ${url}`, deadline);
}

/** Opens a TCP connection to `HOST:PORT`. */
export async function tcp(address: string): Promise<Socket> {
  const [host, port] = address.split(":");
  const socket = connect(Number(port), host);
  await within(
    new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    }),
    `TCP connect to ${address}`,
  );
  return socket;
}

/** Writes `text` on a new connection and answers everything the server wrote until it closed. */
export async function exchange(address: string, text: string, deadline?: number): Promise<string> {
  const socket = await tcp(address);
  const parts: Buffer[] = [];
  const closed = new Promise<void>((resolve) => {
    socket.on("data", (part: Buffer) => parts.push(part));
    // A reset after the answer is as good an end as any.
    socket.on("error", () => {});
    socket.once("close", () => resolve());
  });
  socket.write(text);
  try {
    await within(closed, `close after ${JSON.stringify(text.split("\r\n")[0])}`, deadline);
  } finally {
    socket.destroy();
  }
  return Buffer.concat(parts).toString("latin1");
}

/** Asks for a WebSocket at `path` by hand, for the answers a WebSocket client hides. */
export function upgradeByHand(
  address: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<string> {
  const lines = Object.entries({
    Host: address,
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return exchange(address, `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
}
