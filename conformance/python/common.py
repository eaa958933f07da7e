"""What the sync and the async client have in common: the values sent, and how results are told."""

import json
import sys

DEADLINE = 10.0

NESTED = {"text": "é😀", "list": [1, -2.5, None, True, [], {}], "deep": {"a": [{"b": ""}]}}
BYTES = {"whole": bytes([0, 127, 128, 255]), "list": [b"\x09", {"deep": b""}], "plain": "x"}


def plain(value):
    """Bytes as {"bytes": [numbers]}, so that everything can be told as JSON."""
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": list(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def tell(results):
    """Prints the results as the one line of JSON the test reads."""
    json.dump({name: plain(value) for name, value in results.items()}, sys.stdout)
    sys.stdout.write("\n")


def arguments():
    """The server's URL and the transport names."""
    url, transports = sys.argv[1:]
    return url, transports.split(",")
