"""Prints the server's host figures as they come.

    TIDINGS_TOKEN=$(tidings token --user alice) python main.py [url]
"""

import asyncio
import os
import sys

import socketio

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000"
# With asyncio, events are handled one after the other; the client with threads may mix them up.
client = socketio.AsyncClient()
last = ""


@client.event
async def connect():
    # The client does not know recovery: a new connection subscribes again.
    print("connected")
    await client.emit("subscribe", {"room": "metrics:host", "rewind": 10}, callback=subscribed)


def subscribed(ack):
    if not ack["ok"]:
        print("refused:", ack["error"]["message"], file=sys.stderr)


@client.on("host")
async def host(figures):
    global last
    if figures["at"] <= last:
        return  # rewound after a reconnect, already printed
    last = figures["at"]
    cpu = figures["cpu"]["percent"]
    bar = ("█" * round(cpu / 5)).ljust(20, "·")
    received = figures["network"]["receivedBytesPerSecond"] // 1000
    print(f"{last[11:19]}  CPU {bar} {cpu:5.1f} %  memory {figures['memory']['percent']} %  {received} kB/s in")


@client.event
async def disconnect(reason):
    print("disconnected:", reason)


@client.event
async def connect_error(error):
    print("cannot connect:", error["message"] if isinstance(error, dict) else error, file=sys.stderr)


async def main():
    try:
        await client.connect(url, auth={"token": os.environ.get("TIDINGS_TOKEN", "")})
    except socketio.exceptions.ConnectionError:
        sys.exit(1)  # connect_error has said why
    await client.wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass  # Ctrl-C
