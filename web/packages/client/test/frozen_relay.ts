import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** Passes bytes on to a server; connections there are can be frozen, new ones are not. */
export class FrozenRelay {
  readonly http: string;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, sockets: Set<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    this.http = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async before(http: string): Promise<FrozenRelay> {
    const { hostname, port } = new URL(http);
    const sockets = new Set<Socket>();
    const server = createServer((client) => {
      const upstream = connect(Number(port), hostname);
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        sockets.add(from);
        from.on("data", (part) => to.write(part));
        from.on("close", () => to.destroy());
        from.on("error", () => to.destroy());
      }
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    return new FrozenRelay(server, sockets);
  }

  /** From now on nothing comes through the connections there are. */
  freeze(): void {
    for (const socket of this.#sockets) socket.removeAllListeners("data").pause();
  }

  end(): void {
    this.#sockets.forEach((socket) => socket.destroy());
    this.#server.close();
  }
}
