"""Publishes results of matches to the arena: one match a line on standard input, as JSON. No packages.

    TIDINGS_TOKEN=… python3 results.py [url] < matches.jsonl
"""

import http.client
import json
import os
import random
import sys
import time
import urllib.error
import urllib.request

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000"
PATIENCE = 30  # seconds a request is tried
TRY = 5  # and each try takes no longer


class Refused(Exception):
    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]


def once(path, body, key):
    """One try. Nobody there, or no answer in time, is as good as `unavailable`: it may have been done all the same."""
    headers = {"Authorization": f"Bearer {os.environ.get('TIDINGS_TOKEN', '')}", "Content-Type": "application/json"}
    if key:
        headers["Idempotency-Key"] = key
    request = urllib.request.Request(f"{URL}/api/arena{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=TRY) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        return json.load(refusal)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return {"error": {"code": "unavailable", "message": str(error), "retryable": True}}


def post(path, body, key=None):
    """Asks until there is an answer that counts. The key stays the same, so whatever was done is not done twice."""
    end, pause = time.monotonic() + PATIENCE, 0.2
    while True:
        answer = once(path, body, key)
        if "error" not in answer:
            return answer
        error = answer["error"]
        wait = error.get("retryAfterMs", pause * random.uniform(500, 1500)) / 1000
        if not error.get("retryable") or time.monotonic() + wait > end:
            raise Refused(error)
        time.sleep(wait)
        pause = min(pause * 2, 3)


def player(name):
    """Somebody who plays for the first time; who is there already stays as he is."""
    try:
        post("/players", {"id": name, "displayName": name})
    except Refused as refusal:
        if refusal.code != "conflict":
            raise


def publish(match):
    match_id, winner = match["matchId"], match.get("winnerId")
    for name in match["players"]:
        player(name)
    post("/matches", {"id": match_id, "players": match["players"]}, f"{match_id}:create")
    post(f"/matches/{match_id}/start", {}, f"{match_id}:start")
    result = {"winnerId": winner, "resultType": "win" if winner else "draw", "scores": match.get("scores")}
    # What a line does not say is left out: under one key every program says the same.
    result = {name: value for name, value in result.items() if value is not None}
    told = post(f"/matches/{match_id}/result", result, f"{match_id}:result")
    changes = (f"{one['playerId']} {one['newRating']} ({one['change']})" for one in told["ratings"])
    print(f"{match_id}: {', '.join(changes)}{', as told before' if told.get('duplicate') else ''}", flush=True)


def main():
    failed = False
    for line in filter(str.strip, sys.stdin):
        try:
            publish(json.loads(line))
        except (Refused, ValueError, KeyError, TypeError) as error:
            print(f"refused: {error} in {line.strip()}", file=sys.stderr)
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
