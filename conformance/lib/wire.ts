import { WebSocket, type RawData } from "ws";
import { ask, type Answer, type Asked } from "./http.ts";
import { Inbox, within } from "./wait.ts";
import type { Running } from "./process.ts";

/** What a raw WebSocket heard: a text frame as string, a binary one as bytes. */
export type Heard = string | Buffer;

/** The end of a WebSocket. */
export interface End {
  code: number;
  reason: string;
}

/** A WebSocket without any protocol on top, every frame in an inbox. */
export class Wire {
  readonly heard = new Inbox<Heard>();
  readonly ended: Promise<End>;
  /** Engine.IO pings are answered and kept out of the inbox unless this is false. */
  answersPings = true;
  readonly #socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data: RawData, binary: boolean) => this.#hear(data as Buffer, binary));
    socket.on("error", () => {});
    this.ended = new Promise((resolve) => {
      socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  /** Opens a WebSocket; fails if the server refuses the upgrade. */
  static async open(
    url: string,
    headers: Record<string, string> = {},
    protocols: string[] = [],
  ): Promise<Wire> {
    const socket = new WebSocket(url, protocols, { headers, perMessageDeflate: false });
    // Listeners come first: the server's first frame may follow its 101 in one segment.
    const wire = new Wire(socket);
    await within(
      new Promise<void>((resolve, reject) => {
        socket.once("open", () => resolve());
        socket.once("error", reject);
      }),
      `WebSocket to ${url}`,
    );
    return wire;
  }

  #hear(data: Buffer, binary: boolean): void {
    const text = binary ? undefined : data.toString();
    if (text === "2" && this.answersPings) this.send("3");
    else this.heard.push(text ?? data);
  }

  /** Sends each item as a frame of its own: strings as text, bytes as binary. */
  send(...frames: Heard[]): void {
    for (const frame of frames) this.#socket.send(frame);
  }

  /** Says whether nobody has closed the socket yet. */
  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Waits for the server to close. */
  end(ms?: number): Promise<End> {
    return within(this.ended, "close by the server", ms);
  }

  /** Hangs up without a close frame. */
  terminate(): void {
    this.#socket.terminate();
  }
}

/** The handshake of an Engine.IO session. */
export interface Handshake {
  sid: string;
  upgrades: string[];
  pingInterval: number;
  pingTimeout: number;
  maxPayload: number;
}

/** Opens an Engine.IO session over WebSocket. */
export async function engineByWebSocket(
  server: Running,
  query = "",
): Promise<Wire & { handshake: Handshake }> {
  const wire = await Wire.open(`${server.ws}/socket.io/?EIO=4&transport=websocket${query}`);
  return Object.assign(wire, { handshake: parseOpen(await wire.heard.next("open packet")) });
}

/** Opens a Socket.IO session over WebSocket, joined to `/`, its `auth` event heard. */
export async function joined(server: Running, query = ""): Promise<Wire> {
  const wire = await engineByWebSocket(server, query);
  await join(wire);
  return wire;
}

/** Joins a namespace (`"/custom,"`, or nothing for `/`) and answers the CONNECT answer. */
export async function join(wire: Wire, rest = ""): Promise<{ sid: string; pid?: string }> {
  wire.send(`40${rest}`);
  const answer = await wire.heard.next("CONNECT answer");
  if (typeof answer !== "string" || !/^40(\/[^,]*,)?\{/.test(answer)) {
    throw new Error(`no CONNECT answer but ${String(answer)}`);
  }
  await wire.heard.next("auth event");
  return JSON.parse(answer.slice(answer.indexOf("{"))) as { sid: string; pid?: string };
}

function parseOpen(packet: Heard): Handshake {
  if (typeof packet !== "string" || !packet.startsWith("0{"))
    throw new Error(`no open packet: ${String(packet)}`);
  return JSON.parse(packet.slice(1)) as Handshake;
}

/** An Engine.IO session over long polling, request by request. */
export class Polling {
  readonly handshake: Handshake;
  readonly #server: Running;

  private constructor(server: Running, handshake: Handshake) {
    this.#server = server;
    this.handshake = handshake;
  }

  /** Does the handshake. */
  static async open(server: Running): Promise<Polling> {
    const answer = await ask(`${server.http}/socket.io/?EIO=4&transport=polling`);
    return new Polling(server, parseOpen(answer.body));
  }

  /** Does the handshake, joins `/` and hears its `auth` event. */
  static async joined(server: Running): Promise<Polling> {
    const polling = await Polling.open(server);
    await polling.post("40");
    await polling.until((packet) => packet.startsWith('42["auth"'));
    return polling;
  }

  get path(): string {
    return `/socket.io/?EIO=4&transport=polling&sid=${this.handshake.sid}`;
  }

  get url(): string {
    return this.#server.http + this.path;
  }

  /** One GET, whatever its answer. */
  get(asked: Asked = {}): Promise<Answer> {
    return ask(this.url, asked);
  }

  /** One POST, whatever its answer. */
  post(body: string | Buffer | Buffer[], headers: Record<string, string> = {}): Promise<Answer> {
    return ask(this.url, {
      method: "POST",
      body,
      headers: { "content-type": "text/plain;charset=UTF-8", ...headers },
    });
  }

  /** Polls once and answers the packets; pings are answered and left out. */
  async poll(): Promise<string[]> {
    const answer = await this.get();
    if (answer.status !== 200) throw new Error(`GET answered ${answer.status} ${answer.body}`);
    const packets = answer.body.split("\x1e");
    if (packets.includes("2")) await this.post("3");
    return packets.filter((packet) => packet !== "2");
  }

  /** Polls until a packet fits; answers all packets heard on the way, the fitting one last. */
  async until(fits: (packet: string) => boolean): Promise<string[]> {
    const heard: string[] = [];
    for (;;) {
      for (const packet of await this.poll()) {
        heard.push(packet);
        if (fits(packet)) return heard;
      }
    }
  }

  /** Opens the WebSocket this session would upgrade to. */
  openWebSocket(): Promise<Wire> {
    return Wire.open(`${this.#server.ws}/socket.io/?EIO=4&transport=websocket&sid=${this.handshake.sid}`);
  }
}
