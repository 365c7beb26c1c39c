"""Which requests may be mirrored: those whose path a pattern names. Pure.

A mirrored request is carried out twice, and with a comparison three times. So what may write is never passed on: only what was named.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fairway_steps.errors import UsageError

INFERENCE = (
    "/v2/models/*/infer",
    "/v2/models/*/versions/*/infer",
    "/v2/models/*/generate",
    "/v2/models/*/generate_stream",
    *(f"{root}/{what}" for root in ("/v1", "/openai/v1") for what in ("chat/completions", "completions", "embeddings")),
)
"""The inference of Open Inference V2 and of OpenAI's API that writes nothing: no repository, no files, no stored responses."""
_PATTERN = re.compile(r"(?:(?P<method>[A-Z]+) )?(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@/-]*)")
_TWISTED = re.compile(r"//|/\.{1,2}(?:/|$)|\\|%(?:2e|2f|5c|25)", re.IGNORECASE)
"""What a server behind us may read as another path than the one that was looked at."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """``rules`` are a method and a path each; ``*`` in a path is anything within one segment."""

    rules: tuple[tuple[str, re.Pattern[str]], ...]

    @classmethod
    def of(cls, patterns: Sequence[str]) -> "Allowed":
        """From ``[METHOD ]/path`` each; without a method it is POST. Raises UsageError."""
        return cls(tuple(map(_rule, patterns)))

    def permits(self, method: str, target: str) -> bool:
        """Whether a request may be passed on; its query is not looked at."""
        path = target.partition("?")[0]
        if _TWISTED.search(path):
            return False
        return any(method == known and pattern.fullmatch(path) for known, pattern in self.rules)


def _rule(text: str) -> tuple[str, re.Pattern[str]]:
    match = _PATTERN.fullmatch(text.strip())
    if match is None or "**" in match["path"] or _TWISTED.search(match["path"]):
        raise UsageError(
            f"--allow-path {text!r} is not [METHOD ]/path", mend="write /v2/models/*/infer; * is within one segment"
        )
    parts = map(re.escape, match["path"].split("*"))
    return match["method"] or "POST", re.compile("[^/]+".join(parts))
