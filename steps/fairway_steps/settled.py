"""Stored is not served: wait until the proxy says that it serves what is stored."""

from fairway_steps.clock import Clock
from fairway_steps.errors import NotSettled
from fairway_steps.routing.base import Router

POLL = 0.05
SETTLE = 30.0
"""Seconds that a proxy may take where nobody says how many."""


def await_settled(router: Router, clock: Clock, timeout: float) -> None:
    """Wait until the proxy serves what is stored; a back end that cannot tell is believed."""
    deadline = clock.now() + timeout
    while router.settled() is False:
        if clock.now() >= deadline:
            told = f": {router.trouble}" if router.trouble else ""
            raise NotSettled(
                f"the proxy does not serve the stored route after {timeout:g} s{told}", mend="look at the proxy's log"
            )
        clock.sleep(POLL)
