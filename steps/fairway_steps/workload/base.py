"""What a release does to the versions themselves, beside their traffic. Where there is nothing to do, it is not done."""

from collections.abc import Callable
from typing import Protocol

from fairway_steps.model import Policy, Version


class Workloads(Protocol):
    """What runs the versions. Every call may be made again; none is made while a version has traffic, but ``guard``."""

    def wake(self, version: Version) -> bool:
        """Give a version that Fairway has scaled down its replicas back; whether there was something to do."""

    def size(self, version: Version) -> int:
        """How many replicas it is to have now; 0 where that is not to be seen."""

    def revive(self, version: Version, replicas: int) -> bool:
        """Give a version that is at zero, whoever scaled it there, so many replicas, at least one; whether it is one that can be scaled."""

    def guard(self, version: Version) -> None:
        """Keep a version that somebody deletes alive until ``unguard``: its traffic must leave first."""

    def unguard(self, version: Version) -> None:
        """Let it go."""

    def carried(self, version: Version) -> str:
        """What a copy takes from the version, as text. Raises UsageError for a kind of which none can be made."""

    def carry(self, version: Version, spec: str) -> None:
        """Make the version run what ``carried`` gave."""

    def await_ready(self, version: Version, timeout: float, beat: Callable[[], None]) -> None:
        """Wait until it runs that, and call ``beat`` at every look. Raises NotReady, and what ``beat`` raises."""

    def tell(self, version: Version, reason: str, message: str, *, warning: bool = False) -> None:
        """Note an event on the version, for people; never fails."""

    def shrinks(self, version: Version) -> str:
        """How its capacity shrinks while it has no traffic, and how to keep it; empty if it does not."""

    def retire(self, version: Version, policy: Policy) -> str:
        """Do what the policy says with a version without traffic. Returns what was done, empty for nothing."""
