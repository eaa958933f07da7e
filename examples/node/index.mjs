// Prints the server's host figures as they come.
//   TIDINGS_TOKEN=$(tidings token --user alice) node index.mjs [url]

import { io } from "socket.io-client";

const url = process.argv[2] ?? "http://127.0.0.1:3000";
const socket = io(url, { auth: { token: process.env.TIDINGS_TOKEN } });

let last = "";

socket.on("connect", async () => {
  console.log(socket.recovered ? "recovered" : "connected");
  if (socket.recovered) return; // still subscribed; what was missed follows by itself

  try {
    const ack = await socket.timeout(5000).emitWithAck("subscribe", { room: "metrics:host", rewind: 10 });
    if (!ack.ok) console.error(`refused: ${ack.error.message}`);
  } catch {
    console.error("no answer to subscribe"); // the connection was lost; "connect" comes again
  }
});

socket.on("host", (figures) => {
  if (figures.at <= last) return; // rewound after a reconnect, already printed
  last = figures.at;
  const { cpu, memory, network } = figures;
  const bar = "█".repeat(Math.round(cpu.percent / 5)).padEnd(20, "·");
  const received = Math.round(network.receivedBytesPerSecond / 1000);
  console.log(`${figures.at.slice(11, 19)}  CPU ${bar} ${cpu.percent.toFixed(1).padStart(5)} %  memory ${memory.percent.toFixed(1)} %  ${received} kB/s in`);
});

socket.on("disconnect", (reason) => console.log(`disconnected: ${reason}`));

socket.on("connect_error", (error) => {
  console.error(`cannot connect: ${error.message}`);
  if (!socket.active) process.exitCode = 1; // the server refused us: a new token is needed
});
