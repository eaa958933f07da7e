"""Drives python-socketio's asyncio client through the fixture and prints what it heard as JSON."""

import asyncio

import socketio

from common import BYTES, DEADLINE, NESTED, arguments, tell


async def main():
    url, transports = arguments()
    client = socketio.AsyncClient(reconnection=False)
    heard = {name: asyncio.Queue() for name in ("auth", "message-back", "bytes", "answer", "custom")}
    gone = asyncio.Event()
    for name in ("auth", "message-back", "bytes", "answer"):
        client.on(name, lambda *args, name=name: heard[name].put_nowait(args))
    client.on("auth", lambda *args: heard["custom"].put_nowait(args), namespace="/custom")
    client.on("question", lambda *args: (NESTED, BYTES))
    client.on("disconnect", lambda *_reason: gone.set())

    def wait(name):
        return asyncio.wait_for(heard[name].get(), DEADLINE)

    results = {}
    await client.connect(
        url,
        transports=transports,
        auth={"token": "secret"},
        namespaces=["/", "/custom"],
        wait_timeout=DEADLINE,
    )
    results["transport"] = client.transport()
    results["auth"] = await wait("auth")
    results["customAuth"] = await wait("custom")
    await client.emit("message", (NESTED, BYTES))
    results["echo"] = await wait("message-back")
    results["ack"] = await client.call("message-with-ack", (NESTED, BYTES), timeout=DEADLINE)
    results["customAck"] = await client.call("message-with-ack", 1, namespace="/custom", timeout=DEADLINE)
    await client.emit("emit-with-ack", "how?")
    results["answer"] = await wait("answer")
    await client.emit("bytes")
    results["bytes"] = await wait("bytes")
    results["ids"] = [
        client.get_sid(),
        (await client.call("whoami", timeout=DEADLINE))["id"],
        client.get_sid("/custom"),
        (await client.call("whoami", namespace="/custom", timeout=DEADLINE))["id"],
    ]
    await client.emit("kick")
    await asyncio.wait_for(gone.wait(), DEADLINE)
    results["kicked"] = gone.is_set()
    await client.disconnect()
    results["connected"] = client.connected
    tell(results)


asyncio.run(main())
