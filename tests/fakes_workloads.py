"""Workloads in memory: what was done to which version, in order."""

from collections.abc import Callable

from fairway_steps.errors import FairwayError
from fairway_steps.model import Policy, Version


class FakeWorkloads:
    """``runs`` is what each version runs, ``fail`` what a call raises, ``said`` what a retirement tells."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.runs = {"v1": "one", "v2": "two"}
        self.fail: dict[str, FairwayError] = {}
        self.said = ""
        self.sizes: dict[str, int] = {}
        self.shrunk: dict[str, str] = {}
        self.waiting: Callable[[Callable[[], None]], None] = lambda beat: beat()
        self.told: list[tuple[str, str, str, bool]] = []

    def wake(self, version: Version) -> bool:
        self._note("wake", version)
        return False

    def size(self, version: Version) -> int:
        return self.sizes.get(version.name, 0)

    def revive(self, version: Version, replicas: int) -> bool:
        self._note("revive", version, str(replicas))
        return version.name in self.sizes

    def guard(self, version: Version) -> None:
        self._note("guard", version)

    def unguard(self, version: Version) -> None:
        self._note("unguard", version)

    def carried(self, version: Version) -> str:
        return self.runs[version.name]

    def carry(self, version: Version, spec: str) -> None:
        self._note("carry", version, spec)
        self.runs[version.name] = spec

    def await_ready(self, version: Version, timeout: float, beat: Callable[[], None]) -> None:
        self._note("await", version, self.runs[version.name])
        self.waiting(beat)

    def tell(self, version: Version, reason: str, message: str, *, warning: bool = False) -> None:
        self.told.append((version.name, reason, message, warning))

    def shrinks(self, version: Version) -> str:
        return self.shrunk.get(version.name, "")

    def retire(self, version: Version, policy: Policy) -> str:
        self._note("retire", version, policy.value)
        return self.said

    def _note(self, what: str, version: Version, more: str = "") -> None:
        self.done.append(f"{what} {version.name} {more}".strip())
        if what in self.fail:
            raise self.fail[what]
