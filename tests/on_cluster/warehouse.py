"""What users were worth by version, as an application's own data would say it: served from here, from the records of a client."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from on_cluster.client import Client
from on_cluster.release import Service

PATHS = {
    "requests": ".requests",
    "failures": ".failed",
    "users": ".requests",
    "reward": ".clicks",
    "reward-squares": ".clicks",
}


def split(service: Service, sums: str, *names: str) -> dict[str, str]:
    """The parameters of a split of 30 % for each candidate, judged by what the warehouse at ``sums`` says."""
    at = {name: f"deployment/{service.namespace}/{service.version(name)}" for name in names}
    return {
        "stages": "+".join(f"{name}=30" for name in names) + "@30s",
        "candidate": ",".join(f"{name}={place}" for name, place in at.items()),
        "slos": json.dumps([{"metric": "error-rate", "limit": "2%"}, {"metric": "reward", "margin": "20%"}]),
        "metrics": json.dumps({"source": "rest", "url": f"{sums}/$version", "paths": PATHS}),
    }


@contextmanager
def warehouse(client: Client, clicks: Mapping[str, float]) -> Iterator[str]:
    """The address of the sums, ``/VERSION``, as pods reach it. Each request is a user, who clicked by the chance that its version has."""

    class Sums(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            version = self.path.strip("/")
            mine = [(place, one) for place, one in enumerate(tuple(client.records)) if one.version == version]
            clicked = sum(_chance(place) < clicks[version] for place, _ in mine)
            failed = sum(one.failed for _, one in mine)
            told = json.dumps({"requests": len(mine), "failed": failed, "clicks": clicked}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
            pass

    host = _address(client.url)
    server = ThreadingHTTPServer((host, 0), Sums)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _chance(place: int) -> float:
    """The same for a record whenever it is asked, so that sums never fall."""
    return place * 2654435761 % 2**32 / 2**32


def _address(url: str) -> str:
    """This machine's own on the way to the cluster."""
    to = urlsplit(url)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((to.hostname, to.port or 80))
        return str(probe.getsockname()[0])
