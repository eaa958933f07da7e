// The fixture contract on socket.io 4.8.4, so that the tests can be checked against the reference.
import { createServer } from "node:http";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { Server as EngineServer } from "engine.io";
import msgpackParser from "socket.io-msgpack-parser";
import { Server } from "socket.io";
import { WebSocketServer } from "ws";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    listen: { type: "string", default: "127.0.0.1:0" },
    "ping-interval": { type: "string" },
    "ping-timeout": { type: "string" },
    "max-payload": { type: "string", default: "1000000" },
    // Node fixes the parser per server; a server that recognises it per session needs no such flag.
    parser: { type: "string", default: "json" },
    deflate: { type: "boolean", default: false },
  },
});

const modes = { protocol, client, matrix, echo };
const mode = modes[positionals[0]];
if (!mode) {
  console.error(`usage: server.mjs ${Object.keys(modes).join("|")} --listen HOST:PORT`);
  process.exit(2);
}

const http = createServer((_request, response) => response.writeHead(404).end());
mode(http);
const [host, port] = values.listen.split(":");
http.listen(Number(port), host);
await once(http, "listening");
console.log(`listening ${http.address().address}:${http.address().port}`);
process.on("SIGTERM", () => process.exit(0));

/** What the flags say, or these milliseconds. */
function heartbeatOr(interval, timeout) {
  const { "ping-interval": pingInterval = interval, "ping-timeout": pingTimeout = timeout } = values;
  return { pingInterval: Number(pingInterval), pingTimeout: Number(pingTimeout) };
}

function protocol(http) {
  const heartbeat = heartbeatOr(300, 200);
  const io = new Server(http, { ...heartbeat, connectTimeout: 1000, cors: { origin: "*" } });
  const onConnection = (socket) => {
    socket.emit("auth", socket.handshake.auth);
    echoMessages(socket);
  };
  io.on("connection", onConnection);
  io.of("/custom").on("connection", onConnection);
  const engine = new EngineServer(heartbeat);
  engine.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
  engine.attach(http, { path: "/engine.io" });
}

function matrix(http) {
  const io = new Server(http, {
    ...heartbeatOr(25_000, 20_000),
    maxHttpBufferSize: Number(values["max-payload"]),
    connectionStateRecovery: {},
    ...(values.parser === "msgpack" && { parser: msgpackParser }),
  });
  for (const name of ["/", "/custom"]) {
    const namespace = io.of(name);
    namespace.on("connection", (socket) => {
      socket.emit("auth", socket.handshake.auth);
      echoMessages(socket);
      matrixCommands(namespace, socket);
    });
  }
  io.of("/locked").use((_socket, next) => {
    next(Object.assign(new Error("not allowed"), { data: { code: "forbidden" } }));
  });
}

function echoMessages(socket) {
  socket.on("message", (...args) => socket.emit("message-back", ...args));
  socket.on("message-with-ack", (...args) => args.pop()(...args));
}

function matrixCommands(namespace, socket) {
  socket.on("broadcast", (...args) => namespace.emit("news", ...args));
  socket.on("emit-with-ack", (...args) => {
    socket.emit("question", ...args, (...reply) => socket.emit("answer", ...reply));
  });
  socket.on("bytes", () => {
    socket.emit("bytes", { whole: Buffer.of(1, 2, 3), list: [Buffer.of(4), { deep: Buffer.of(5, 6) }] });
  });
  socket.on("whoami", (ack) => ack({ id: socket.id, recovered: socket.recovered }));
  socket.on("drop", () => socket.conn.close(true));
  socket.on("kick", () => socket.disconnect());
}

function client(http) {
  const io = new Server(http, {
    pingInterval: 2000,
    connectionStateRecovery: {},
    // The suite tests connection timeouts, which needs a handshake that is not instant.
    allowRequest: (_request, callback) => setTimeout(() => callback(null, true), 10),
  });
  for (const name of ["/timeout_socket", "/valid", "/asd"]) io.of(name);
  io.of("/foo").on("connection", (socket) => socket.on("getId", (ack) => ack(socket.id)));
  io.of("/abc").on("connection", (socket) => socket.emit("handshake", socket.handshake));
  io.of("/no").use((_socket, next) => next(new Error("Auth failed (custom namespace)")));
  io.use((socket, next) => {
    next(socket.handshake.query.fail ? new Error("Auth failed (main namespace)") : undefined);
  });
  io.on("connection", clientCommands);
}

function clientCommands(socket) {
  const bytes = Buffer.from("asdfasdf");
  socket.on("hi", () => socket.emit("hi"));
  socket.on("echo", (arg, ack) => ack(arg));
  socket.on("ack", () => {
    socket.emit("ack", (number, object) => number === 5 && object.test && socket.emit("got it"));
  });
  socket.on("getAckDate", (_data, ack) => ack(new Date()));
  socket.on("getDate", () => socket.emit("takeDate", new Date()));
  socket.on("getDateObj", () => socket.emit("takeDateObj", { date: new Date() }));
  socket.on("getUtf8", () => {
    const lines = ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"];
    for (const line of lines) socket.emit("takeUtf8", line);
  });
  socket.on("false", () => socket.emit("false", false));
  socket.on("doge", () => socket.emit("doge", bytes));
  socket.on("getbin", () => socket.emit("takebin", bytes));
  socket.on("getHandshake", (ack) => ack(socket.handshake));
  socket.on("getId", (ack) => ack(socket.id));
  clientBinaryCommands(socket);
}

function clientBinaryCommands(socket) {
  const isMixed = (arg) => arg.hello === "lol" && Buffer.isBuffer(arg.message) && arg.goodbye === "gotcha";
  socket.on("buffa", (arg) => Buffer.isBuffer(arg) && socket.emit("buffack"));
  socket.on("jsonbuff", (arg) => isMixed(arg) && socket.emit("jsonbuff-ack"));
  socket.on("blob", (arg) => Buffer.isBuffer(arg) && socket.emit("back"));
  socket.on("jsonblob", (arg) => isMixed(arg) && socket.emit("jsonblob-ack"));
  const seen = new Set();
  socket.on("abuff1", (arg) => Buffer.isBuffer(arg) && seen.add("abuff1"));
  socket.on("abuff2", () => seen.has("abuff1") && socket.emit("abuff2-ack"));
  socket.on("blob1", (arg) => Buffer.isBuffer(arg) && seen.add("blob1"));
  socket.on("blob2", (arg) => arg === "second" && seen.has("blob1") && seen.add("blob2"));
  socket.on("blob3", (arg) => Buffer.isBuffer(arg) && seen.has("blob2") && socket.emit("blob3-ack"));
}

function echo(http) {
  const sockets = new WebSocketServer({
    server: http,
    path: "/echo",
    maxPayload: 64 * 1024 * 1024,
    perMessageDeflate: values.deflate,
    skipUTF8Validation: false,
  });
  sockets.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  });
}
