"""What Envoy tells of itself: its admin interface, and the names under which it counts.

Shared by the route back end and the metric source, which must not know each other.
https://www.envoyproxy.io/docs/envoy/latest/operations/admin
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from fairway_steps.errors import TransientError, UsageError

TIMEOUT = (1.0, 5.0)
"""Seconds to connect to the admin interface, and between two bytes of its answer."""
BOOTSTRAP = "bootstrap.json"


def parse_uri(uri: str) -> tuple[Path, str]:
    """The folder of ``envoy:DIR`` or ``envoy:DIR?admin=http://HOST:PORT``, and where the admin interface is.

    Without ``admin`` the address is read from ``DIR/bootstrap.json``. Raises UsageError.
    """
    name, _, query = uri.removeprefix("envoy:").partition("?")
    options = parse_qs(query, keep_blank_values=True)
    if not name or set(options) - {"admin"}:
        raise UsageError(f"{uri!r} is not an Envoy folder", mend="write envoy:DIR or envoy:DIR?admin=http://HOST:PORT")
    folder = Path(name).absolute()
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", mend="make it with `fairway envoy DIR`")
    address = options.get("admin", [""])[-1] or _from_bootstrap(folder / BOOTSTRAP)
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).netloc:
        raise UsageError(f"Envoy's admin address {address!r} is not http://HOST:PORT")
    return folder, address.rstrip("/")


def _from_bootstrap(path: Path) -> str:
    try:
        address = json.loads(path.read_text(encoding="utf-8"))["admin"]["address"]["socket_address"]
        host, port = str(address["address"]), int(address["port_value"])
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no {path} that says where Envoy's admin interface is", mend="add ?admin=http://HOST:PORT"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} does not say where Envoy's admin interface is", mend="add ?admin=http://HOST:PORT"
        ) from error
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what Envoy listens on, not we
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def stat_name(service: str, version: str) -> str:
    """The name under which Envoy counts a version: ``SERVICE/VERSION``, its dots as ``_``.

    Envoy ends a cluster's name in a statistic at the first dot; ``_`` never occurs in the name of a version.
    """
    return f"{service}/{version}".replace(".", "_")


def mirror_stat_name(service: str, version: str) -> str:
    """The name under which Envoy counts the requests that are copied to a version."""
    return stat_name(service, version) + "@mirror"


class Admin:
    """The admin interface at ``address``, read only."""

    def __init__(self, address: str) -> None:
        import requests  # noqa: PLC0415 - 60 ms that a command which reads no admin interface need not wait

        self.address = address
        self._session = requests.Session()
        self._session.trust_env = False
        self._refused = requests.ConnectionError
        self._failed = requests.RequestException

    def text(self, path: str) -> str | None:
        """What the interface says; None if nothing listens there. Raises TransientError for anything between."""
        try:
            answer = self._session.get(self.address + path, timeout=TIMEOUT)
        except self._refused:
            return None
        except self._failed as error:
            raise TransientError(f"Envoy's admin interface at {self.address} does not answer: {error}") from error
        if answer.status_code != 200:
            raise TransientError(f"Envoy's admin interface says {answer.status_code} to {self.address}{path}")
        return answer.text

    def json(self, path: str) -> Any:
        """The same as a JSON value."""
        text = self.text(path)
        if text is None:
            return None
        try:
            return json.loads(text)
        except ValueError as error:
            raise TransientError(f"Envoy's admin interface at {self.address}{path} does not speak JSON") from error

    def stats(self, pattern: str) -> dict[str, int] | None:
        """Counters and gauges whose names match the regular expression, by name; None without an Envoy."""
        found = self.json(f"/stats?format=json&filter={quote(pattern, safe='')}")
        if found is None:
            return None
        return {s["name"]: s["value"] for s in found.get("stats", []) if isinstance(s.get("value"), int)}
