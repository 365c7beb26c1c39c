"""Users of a service under test, and what each was worth: a stand-in for an application and its warehouse, for docs/ab.md.

`python ab_users.py URL PORT` sends three requests for each user, with its name in the header `x-user`, and notes whether the user then clicked,
more often with some versions. At `http://127.0.0.1:PORT/VERSION` are the sums of each version's users, whose windows are closed after their last request.
On SIGTERM it prints what it has seen: `unanswered` requests that no version answered, and users who `moved` from one version to another.
"""

import http.client
import itertools
import json
import random
import signal
import sys
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

CLICKS = {"v1": 0.3, "v2": 0.3, "v3": 0.6}
BODY = json.dumps({"inputs": [{"name": "pixels", "shape": [1, 64], "datatype": "FP64", "data": [0.0] * 64}]})
WORKERS, PACE = 8, 0.25  # so many users at a time, each for at least so many seconds

url, port = urlsplit(sys.argv[1]), int(sys.argv[2])
sums: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(("requests", "failed", "users", "clicks"), 0))
seen = {"users": 0, "requests": 0, "unanswered": 0, "moved": 0}
names, lock, over = itertools.count(), threading.Lock(), threading.Event()


def ask(connection: http.client.HTTPConnection, user: str) -> tuple[str, int]:
    """The version that answered, and the status; none of both if nobody did."""
    try:
        connection.request("POST", url.path, BODY, {"x-user": user, "content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.getheader("x-fairway-version", ""), answer.status
    except (OSError, http.client.HTTPException):
        connection.close()
        return "", 0


def work() -> None:
    connection = http.client.HTTPConnection(url.netloc, timeout=10)
    while not over.is_set():
        began, user = time.monotonic(), f"u{next(names)}"
        answers = [ask(connection, user) for _ in range(3)]
        versions = [version for version, _ in answers if version]
        with lock:
            for version, status in answers:
                if version:
                    sums[version]["requests"] += 1
                    sums[version]["failed"] += status >= 500
            if versions:
                sums[versions[0]]["users"] += 1
                sums[versions[0]]["clicks"] += random.random() < CLICKS.get(versions[0], 0.3)
            seen["users"] += 1
            seen["requests"] += len(answers)
            seen["unanswered"] += len(answers) - len(versions)
            seen["moved"] += len(set(versions)) > 1
        over.wait(max(0.0, began + PACE - time.monotonic()))


class Warehouse(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        with lock:
            told = json.dumps(sums[self.path.strip("/")]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
        pass


server = ThreadingHTTPServer(("127.0.0.1", port), Warehouse)
threading.Thread(target=server.serve_forever, daemon=True).start()
workers = [threading.Thread(target=work) for _ in range(WORKERS)]
for worker in workers:
    worker.start()
signal.signal(signal.SIGTERM, lambda *_: over.set())
for worker in workers:
    worker.join()
sys.stdout.write(json.dumps(seen) + "\n")
