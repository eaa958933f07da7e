"""Has python-socketio refused at the handshake, then let in, and prints what it was told as JSON."""

import json
import sys

import socketio

from common import DEADLINE, tell


def attempt(url, transports, token, headers):
    """What the client hears of one attempt to connect."""
    told = []
    client = socketio.Client(reconnection=False)
    client.on("connect_error", told.append)
    raised = None
    try:
        client.connect(
            url, transports=transports, auth={"token": token}, headers=headers, wait_timeout=DEADLINE
        )
    except socketio.exceptions.ConnectionError as error:
        raised = str(error)
    connected = client.connected
    client.disconnect()
    return {"told": told, "raised": raised, "connected": connected}


def main():
    url, transports, token, refused = sys.argv[1:]
    transports = transports.split(",")
    tell(
        {
            "refused": attempt(url, transports, token, json.loads(refused)),
            "letIn": attempt(url, transports, token, {}),
        }
    )


main()
