"""Whether versions in a cluster are ready: by watches, then by what their endpoints answer."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from fairway_steps.cluster import Cluster
from fairway_steps.model import Version
from fairway_steps.workload.live import Live
from fairway_steps.workload.place import place

Ask = Callable[[Version], str]


class ClusterProbe:
    """Asks ``inference`` at every ready endpoint of a version that its status says is ready.

    ``inference`` takes a version with a URL and says why it does not answer. A version of the URI option ``url`` is asked
    there alone.
    """

    def __init__(self, cluster: Cluster, inference: Ask | None = None) -> None:
        self._cluster, self._inference = cluster, inference
        self._lives: dict[str, Live] = {}
        self._changed = threading.Event()

    def __call__(self, version: Version) -> str:
        """Empty if the version is ready now, else a sentence that says why not."""
        live = self._live(version)
        if sentence := live.trouble():
            return f"{version.name}: {sentence}"
        return self._answers(version, live)

    def away(self, version: Version, since: float | None = None) -> str:
        """Why users cannot or should not be sent to the version now; empty if they can. It has had traffic since ``since``."""
        sentence = self._live(version).away(since)
        return f"{version.name}: {sentence}" if sentence else ""

    def pause(self, seconds: float) -> None:
        """Wait until something has changed, at most so many seconds."""
        if self._changed.wait(seconds):
            self._changed.clear()

    def _live(self, version: Version) -> Live:
        if version.uri not in self._lives:
            self._lives[version.uri] = Live(self._cluster, place(version), self._changed)
        return self._lives[version.uri]

    def _answers(self, version: Version, live: Live) -> str:
        if self._inference is None:
            return ""
        urls: Sequence[str] = [live.place.url] if live.place.url else [f"http://{at}" for at in live.endpoints()]
        return next(filter(None, (self._inference(replace(version, uri=url)) for url in urls)), "")
