import { afterEach } from "vitest";
import { Client, type ClientOptions } from "@tidings/client";
import { mint, unique, type Served } from "./server.ts";

/** Opens clients of a server, each of a user of its own unless told otherwise; they are gone behind the test. */
export function opening(server: Served): (options?: Partial<ClientOptions>) => Client {
  const clients: Client[] = [];
  afterEach(() => clients.splice(0).forEach((client) => client.disconnect()));
  return (options = {}) => {
    const client = new Client({ url: server.http, token: mint({ sub: unique("user") }), ...options });
    clients.push(client);
    client.connect();
    return client;
  };
}
