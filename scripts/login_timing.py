#!/usr/bin/env python3
"""Whether the time of a refused sign-in tells if an address has an account.

    scripts/login_timing.py target/release/tidings

Makes 100 accounts in a directory of its own, starts a server on loopback without limits, and tries a wrong
password five times for each of them and for 100 addresses nobody has, in a drawn order on one connection.
Prints medians, and Welch's t over what lies between the 10th and the 90th percentile: beyond 4.5 the two can be
told apart.
"""
import http.client
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

ADDRESSES, ROUNDS = 100, 5
PATIENCE = 30


def quiet(binary, directory):
    return {"args": [binary], "cwd": directory, "env": {"PATH": os.environ["PATH"]}, "stderr": subprocess.DEVNULL}


def make_accounts(binary, directory):
    for number in range(ADDRESSES):
        line = [binary, "user", "add", f"known{number}@example.com"]
        run = quiet(binary, directory) | {"args": line}
        subprocess.run(**run, input=b"a long enough password\n", stdout=subprocess.DEVNULL, check=True)


def tried(client, email):
    body = json.dumps({"email": email, "password": "a wrong password"})
    begun = time.perf_counter()
    client.request("POST", "/api/auth/login", body, {"Content-Type": "application/json"})
    answer = client.getresponse()
    text = answer.read()
    took = time.perf_counter() - begun
    assert answer.status == 401, (answer.status, text)
    return took * 1_000


def measure(client):
    times = {"known": [], "nobody": []}
    for number in range(10):
        tried(client, f"warm{number}@example.com")
    for _ in range(ROUNDS):
        tries = [(kind, number) for kind in times for number in range(ADDRESSES)]
        random.shuffle(tries)
        for kind, number in tries:
            times[kind].append(tried(client, f"{kind}{number}@example.com"))
    return times


def report(times):
    trimmed = []
    for kind, all_of_it in times.items():
        ordered = sorted(all_of_it)
        tenth = len(ordered) // 10
        trimmed.append(ordered[tenth:-tenth])
        print(f"{kind}: {len(ordered)} tries, median {statistics.median(ordered):.2f} ms")
    (a, b) = trimmed
    spread = math.sqrt(statistics.variance(a) / len(a) + statistics.variance(b) / len(b))
    print(f"Welch's t {(statistics.mean(a) - statistics.mean(b)) / spread:.2f}")


def main(binary):
    binary = os.path.abspath(binary)
    with tempfile.TemporaryDirectory() as directory:
        make_accounts(binary, directory)
        run = quiet(binary, directory) | {"args": [binary, "serve", "--listen", "127.0.0.1:0", "--no-limits"]}
        with subprocess.Popen(**run, stdout=subprocess.PIPE, text=True) as server:
            try:
                address = server.stdout.readline().strip().split("http://")[1]
                report(measure(http.client.HTTPConnection(address, timeout=PATIENCE)))
            finally:
                server.terminate()


if __name__ == "__main__":
    main(sys.argv[1])
