"""The last way back of a route that is a list of rules: all that reaches a version goes to one of them alone. Pure.

Nothing is decoded, and no snapshot is needed: the rules as they are and the names of the versions suffice, so it works on rules that
no release understands. What reaches no version stays as it is.
"""

import copy
from collections.abc import Sequence
from typing import Any, Protocol

from fairway_steps.routing.wayback import Kind

Json = dict[str, Any]


class Around(Protocol):
    """What the rules are read with."""

    def owns(self, rule: Json) -> bool:
        """Whether Fairway made the whole rule."""

    def version(self, backend: Json) -> str:
        """Which version a backend is; empty for none."""

    def pointed(self, like: Json, name: str) -> Json:
        """A backend as ``like``, but to the version ``name``."""

    def unmirrored(self, rule: Json, name: str) -> Json:
        """The rule without mirrors to any version but ``name``."""


def alone(rules: Sequence[Json], name: str, around: Around, kind: Kind) -> list[Json]:
    """The rules, those that Fairway made left out unless there are no others."""
    kept = [rule for rule in rules if not around.owns(rule)] or rules
    return [around.unmirrored(_led(rule, name, around, kind), name) for rule in copy.deepcopy(list(kept))]


def _led(rule: Json, name: str, around: Around, kind: Kind) -> Json:
    backends = rule.get(kind.backends) or []
    ours = [one for one in backends if around.version(one)]
    dark = [one for one in backends if not around.version(one) and not kind.is_on(rule, one)]
    own = [one for one in ours if around.version(one) == name]
    if not ours or (len(own) + len(dark) == len(backends) and any(kind.is_on(rule, one) for one in own)):
        return rule
    to = own[0] if own else around.pointed(ours[0], name)
    return {**rule, kind.backends: [{**to, "weight": 100}, *dark]}
