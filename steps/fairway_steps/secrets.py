"""Secrets that cannot slip into a log: they are resolved late, printed as stars, and scrubbed from any text."""

import re
from dataclasses import dataclass, field

STARS = "***"


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that must not be shown, and the reference it came from, which may be."""

    value: str = field(repr=False)
    source: str = ""

    def __str__(self) -> str:
        return STARS


def scrub(text: str, *secrets: Secret | None) -> str:
    """The text without any of the secrets."""
    for secret in secrets:
        if secret is not None and secret.value:
            text = text.replace(secret.value, STARS)
    return text


def address(url: str) -> str:
    """A URL as it may be shown: without a user and password, and without its query and fragment, which may hold a token."""
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", url, maxsplit=1)[0])
