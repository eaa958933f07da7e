// Runs inside the browser beside the client's bundle: connects, echoes, and tells what came of it.
globalThis.session = async (transports) => {
  const socket = globalThis.io({ transports, auth: { token: "from a page" } });
  const once = (event) => new Promise((resolve) => socket.once(event, (...args) => resolve(args)));
  const ack = (...args) =>
    new Promise((resolve) => socket.emit("message-with-ack", ...args, (...back) => resolve(back)));
  const auth = once("auth");
  await once("connect");
  const engine = socket.io.engine;
  if (transports.length > 1 && engine.transport.name === "polling") {
    await new Promise((resolve) => engine.once("upgrade", resolve));
  }
  const [{ blob }] = await ack({ blob: new Uint8Array([1, 2, 255]).buffer });
  const result = {
    transport: engine.transport.name,
    auth: (await auth)[0],
    echo: await ack("é😀", { nested: [null, 1.5] }),
    // Depending on the parser bytes are an ArrayBuffer or a view of one.
    bytes: [...new Uint8Array(blob)],
  };
  const left = once("disconnect");
  socket.emit("kick");
  return { ...result, left: (await left)[0] };
};
