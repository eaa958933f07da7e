"""Follows a room of trading by the plain protocol, with a WebSocket library that knows nothing of this server.

    trading_client.py ws://HOST:PORT/ws TOKEN ROOM USER END

It hears `trade:ROOM` and `trade:ROOM:USER` until something is said in the room END, and prints what it heard as one line of JSON:
a list of [room, event, data, offset].
"""

import json
import sys

import websocket

from common import DEADLINE


def main():
    url, token, room, user, end = sys.argv[1:]
    door = websocket.create_connection(url, timeout=6 * DEADLINE)
    door.send(json.dumps({"type": "auth", "token": token}))
    for number, name in enumerate([end, f"trade:{room}", f"trade:{room}:{user}"]):
        door.send(json.dumps({"type": "subscribe", "id": number, "room": name}))
    heard = []
    while True:
        said = json.loads(door.recv())
        if said["type"] == "ack" and not said["ok"]:
            raise SystemExit(said["error"]["message"])
        if said["type"] != "event":
            continue
        if said["room"] == end:
            break
        heard.append([said["room"], said["event"], said["data"], said.get("offset")])
    door.close()
    json.dump(heard, sys.stdout)
    sys.stdout.write("\n")


main()
