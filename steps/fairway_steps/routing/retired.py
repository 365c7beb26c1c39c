"""The counters of backends that were removed: Envoy forgets a cluster's statistics together with the cluster."""

from collections.abc import Mapping
from typing import Any

from fairway_steps.routing.folder import Folder

FILE = "retired.json"
SLACK = 5.0


class Retired:
    """How many requests each removed backend of ``service`` had, since the Envoy that counted them started."""

    def __init__(self, folder: Folder, service: str) -> None:
        self._folder, self._service = folder, service

    def counts(self, started: float) -> dict[str, int]:
        """By version; empty if they are those of an earlier Envoy than the one that ``started`` at this moment."""
        kept = self._load().get(self._service, {})
        if abs(kept.get("started", 0.0) - started) > SLACK:
            return {}
        return dict(kept.get("requests", {}))

    def keep(self, started: float, counts: Mapping[str, int]) -> None:
        """Replace the counts of these versions. Call it under the folder's lock."""
        kept = {"started": started, "requests": self.counts(started) | dict(counts)}
        self._folder.write(FILE, self._load() | {self._service: kept})

    def _load(self) -> dict[str, Any]:
        return self._folder.load_any(FILE) or {}
