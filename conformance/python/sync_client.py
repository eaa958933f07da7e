"""Drives python-socketio's blocking client through the fixture and prints what it heard as JSON."""

import queue
import threading

import socketio

from common import BYTES, DEADLINE, NESTED, arguments, tell


def main():
    url, transports = arguments()
    client = socketio.Client(reconnection=False)
    heard = {name: queue.Queue() for name in ("auth", "message-back", "bytes", "answer", "custom")}
    gone = threading.Event()
    for name in ("auth", "message-back", "bytes", "answer"):
        client.on(name, lambda *args, name=name: heard[name].put(args))
    client.on("auth", lambda *args: heard["custom"].put(args), namespace="/custom")
    client.on("question", lambda *args: (NESTED, BYTES))
    client.on("disconnect", lambda *_reason: gone.set())

    def wait(name):
        return heard[name].get(timeout=DEADLINE)

    results = {}
    client.connect(
        url,
        transports=transports,
        auth={"token": "secret"},
        namespaces=["/", "/custom"],
        wait_timeout=DEADLINE,
    )
    results["transport"] = client.transport()
    results["auth"] = wait("auth")
    results["customAuth"] = wait("custom")
    client.emit("message", (NESTED, BYTES))
    results["echo"] = wait("message-back")
    results["ack"] = client.call("message-with-ack", (NESTED, BYTES), timeout=DEADLINE)
    results["customAck"] = client.call("message-with-ack", 1, namespace="/custom", timeout=DEADLINE)
    client.emit("emit-with-ack", "how?")
    results["answer"] = wait("answer")
    client.emit("bytes")
    results["bytes"] = wait("bytes")
    results["ids"] = [
        client.get_sid(),
        client.call("whoami", timeout=DEADLINE)["id"],
        client.get_sid("/custom"),
        client.call("whoami", namespace="/custom", timeout=DEADLINE)["id"],
    ]
    client.emit("kick")
    results["kicked"] = gone.wait(DEADLINE)
    client.disconnect()
    results["connected"] = client.connected
    tell(results)


main()
