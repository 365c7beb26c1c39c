"""One long watch over what the server cuts into short ones.

List, then watch from where the list was taken; go on from the last event (bookmarks count) when the stream ends; list
anew when that place is gone (410). Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import urllib3

from fairway_steps.clock import Clock
from fairway_steps.errors import TransientError

LOG = logging.getLogger(__name__)
GONE = 410
LONGEST = 240
"""Seconds of one request: shorter than the five minutes after which load balancers cut a silent connection."""
PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)

Objects = tuple[Mapping[str, Any], ...]
Page = Callable[[], Mapping[str, Any]]
Stream = Callable[[str, int], Iterator[Mapping[str, Any]]]


def follow(page: Page, stream: Stream, clock: Clock, timeout: float) -> Iterator[Objects]:
    """All objects of ``page``, now and after each change that ``stream`` tells, for ``timeout`` seconds."""
    deadline, place, failures, last = clock.now() + timeout, _Place(), 0, ""
    while True:
        try:
            if not place.since:
                yield place.listed(page())
            left = deadline - clock.now()
            for event in stream(place.since, max(1, min(LONGEST, math.ceil(left)))) if left > 0 else ():
                failures, last = 0, ""
                if place.changed(event):
                    yield tuple(place.known.values())
        except (urllib3.exceptions.HTTPError, json.JSONDecodeError, TransientError, _Interrupted) as error:
            failures, last = failures + 1, str(error)
            LOG.debug("watching again: %s", last)
            clock.sleep(min(PAUSES[min(failures, len(PAUSES)) - 1], max(0.0, deadline - clock.now())))
        if clock.now() >= deadline:
            if failures > 1:
                raise TransientError(f"the watch was interrupted and could not be taken up again: {last}")
            return


@dataclass(slots=True)
class _Place:
    """What is known, and from where to go on; an empty ``since`` means from a new list."""

    since: str = ""
    known: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def listed(self, page: Mapping[str, Any]) -> Objects:
        self.since = str(page["metadata"]["resourceVersion"])
        self.known = {_key(item): item for item in page["items"]}
        return tuple(self.known.values())

    def changed(self, event: Mapping[str, Any]) -> bool:
        """Take up one event; whether it changed what is known."""
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            self.since = "" if item.get("code") == GONE else self.since
            raise _Interrupted(f"the watch ended with {item.get('code')}: {item.get('message', '')}")
        self.since = str(item["metadata"]["resourceVersion"])
        if kind == "DELETED":
            self.known.pop(_key(item), None)
        elif kind != "BOOKMARK":
            self.known[_key(item)] = item
        return bool(kind != "BOOKMARK")


class _Interrupted(Exception):
    """The server ended the stream with an error of its own."""


def _key(item: Mapping[str, Any]) -> str:
    return f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"
