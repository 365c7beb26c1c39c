"""Whose a rule of a route is, where several services share the route: pure.

A rule that Fairway made is named ``fairway-match-NUMBER-INDEX-SERVICE``: the header match, and the user's rule that it stands
before. Whose a user's rule is, its backends tell.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairway_steps.workload.place import Place

Json = dict[str, Any]
NAMED = re.compile(r"fairway-match-(?P<number>\d+)-\d+-(?P<service>.+)")


@dataclass(frozen=True, slots=True)
class Around:
    """What the rules of a route are read with: the service, its versions' places, and the route's namespace."""

    service: str
    places: Mapping[str, Place]
    namespace: str

    def owns(self, rule: Json) -> bool:
        """Whether Fairway made the whole rule, for this service."""
        found = NAMED.fullmatch(str(rule.get("name", "")))
        return found is not None and found["service"] == self.service

    def name(self, number: int, index: int) -> str:
        """The name of the rule for the header match ``number``, before the managed rule ``index``."""
        return f"fairway-match-{number}-{index}-{self.service}"

    def number(self, rule: Json) -> int:
        """Which header match a rule of ours is for."""
        found = NAMED.fullmatch(rule["name"])
        return int(found["number"]) if found else 0
