/**
 * What a page of `sequence.test.ts` does: it follows a room of trading with @tidings/client and nothing else, and keeps what it heard
 * in `heard` until something is said in the room `end`.
 */
import { connect } from "@tidings/client";
import { tradingRoom } from "@tidings/client/trading";

const {
  server = "",
  token = "",
  room = "",
  user = "",
  end = "",
} = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const page = { heard: [] as unknown[], over: false };
Object.assign(window, { page });

const client = connect({ url: server, token });
for (const name of [`trade:${room}`, `trade:${room}:${user}`])
  client
    .room(name)
    .on("*", (data: unknown, { offset }: { offset?: number }, event: string) =>
      page.heard.push([name, event, data, offset ?? null]),
    );
tradingRoom(client, room).enter();
client.room(end).on("*", () => (page.over = true));
client.room(end).enter();
