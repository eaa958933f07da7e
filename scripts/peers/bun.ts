// What uWebSockets does on this machine, in its shortest form: Bun's server, which is built on it, speaks as much of Engine.IO
// and Socket.IO as the yardstick's clients ask for. No sign-in, no limits, no heartbeat, no history: a floor for a peer, not a peer.
//
//   bun scripts/peers/bun.ts PORT

const hello = `0{"sid":"peer","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`;

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  fetch(request, server) {
    return server.upgrade(request)
      ? undefined
      : new Response("only WebSocket", { status: 400 });
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      socket.send(hello);
    },
    message(socket, message) {
      const text = String(message);
      if (text.startsWith("40")) {
        socket.send(`40{"sid":"peer"}`);
        return;
      }
      if (!text.startsWith("42")) return;
      const start = text.indexOf("[");
      const id = text.slice(2, start);
      const [name, argument] = JSON.parse(text.slice(start));
      if (name === "subscribe") {
        socket.subscribe(argument.room);
      } else if (name === "publish") {
        server.publish(
          argument.room,
          `42${JSON.stringify([argument.event, argument.data])}`,
        );
      }
      if (id !== "") socket.send(`43${id}${JSON.stringify([argument])}`);
    },
  },
});
