"""A folder of xDS files: read whole, replaced whole by rename, written by one at a time.

Envoy watches each folder for renames (``watched_directory``), so it never reads half a file.
https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/config_source.proto
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fairway_steps.errors import DomainError, UsageError

Json = dict[str, Any]
ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where Linux distributions keep the certificate authorities of the system."""
ROUTES, CLUSTERS, ENDPOINTS, LOCK = "routes.json", "clusters.json", "endpoints", ".lock"


class Folder:
    """The xDS files below ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other writer out. Held for a write, never for a wait."""
        try:
            lock = (self.path / LOCK).open("w")
        except OSError as error:
            raise UsageError(
                f"route folder {self.path} cannot be written: {error.strerror}",
                mend="name a folder that you may write to",
            ) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def load(self, name: str) -> Json:
        """One file's DiscoveryResponse. Raises UsageError for one that is not."""
        path = self.path / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read: {error.strerror}", mend="make the folder with `fairway envoy DIR`"
            ) from error
        except ValueError as error:
            raise UsageError(f"{path} is not JSON: {error}") from error
        if not isinstance(value, dict) or not isinstance(value.get("resources"), list):
            raise UsageError(f"{path} is not an xDS file: it has no list of resources")
        return value

    def replace(self, name: str, before: Json, resources: list[Any]) -> bool:
        """Put ``resources`` into a file, under the next version; False if it held them already."""
        if before.get("resources") == resources:
            return False
        self.write(name, before | {"version_info": following(before.get("version_info")), "resources": resources})
        return True

    def write(self, name: str, value: Json) -> None:
        """Replace a file, or make it."""
        path = self.path / name
        fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("w", encoding="utf-8") as file:
                json.dump(value, file, indent=1)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise DomainError(f"{path} cannot be written: {error.strerror}") from error

    def load_any(self, name: str) -> Json | None:
        """A file that may not be there yet, or hold nothing of use."""
        try:
            value = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def endpoints(self, service: str) -> list[Path]:
        """The files with the endpoints of a service's versions."""
        return sorted((self.path / ENDPOINTS).glob(f"{service}~*.json"))

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


def trusted_roots() -> str:
    """The file of the system's certificate authorities."""
    return next((path for path in ROOTS if Path(path).exists()), ROOTS[0])


def following(version_info: object) -> str:
    """The next version of a file; one that is not a number begins anew at 1."""
    return str(int(version_info) + 1) if isinstance(version_info, str) and version_info.isdecimal() else "1"
