"""A backend that decides for Tidings: `python3 backend.py`, with TIDINGS_HOOKS__SECRET set as for the server."""

import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIVE_MINUTES = 300


def is_genuine(headers, body: bytes, secret: str, now: float | None = None) -> bool:
    """Whether a request was signed with our secret, and not long ago."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    wanted = "v1," + base64.b64encode(digest).decode()
    given = headers.get("webhook-signature", "").split(" ")
    signed = any(hmac.compare_digest(wanted.encode(), signature.encode()) for signature in given)
    now = time.time() if now is None else now
    return signed and timestamp.isdigit() and abs(now - int(timestamp)) <= FIVE_MINUTES


def decide(question: dict) -> dict:
    """Editors may do everything in documents; everybody else may read."""
    if question["action"] == "publish" and "editor" not in question["roles"]:
        return {"allow": False, "code": "forbidden", "message": "only editors write"}
    return {"allow": True, "cacheSeconds": 30}


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        genuine = is_genuine(self.headers, body, os.environ["TIDINGS_HOOKS__SECRET"])
        answer = json.dumps(decide(json.loads(body))).encode() if genuine else b""
        self.send_response(200 if genuine else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8081"))
    ThreadingHTTPServer(("127.0.0.1", port), Backend).serve_forever()
