"""Secrets by reference: ``env:NAME`` or ``file:PATH``, never as an argument, which others can read."""

import os

from fairway_steps.config import read_file
from fairway_steps.errors import UsageError
from fairway_steps.secrets import Secret


def secret(name: str, reference: str) -> Secret:
    """The secret behind a reference; ``name`` starts each sentence. What was given instead of one is not repeated."""
    kind, _, place = reference.partition(":")
    if kind == "env" and place:
        value = os.environ.get(place, "").strip()
        if not value:
            raise UsageError(f"{name}: the environment variable {place} is not set")
    elif kind == "file" and place:
        value = read_file(place).strip()
        if not value:
            raise UsageError(f"{name}: the file {place} is empty")
    else:
        raise UsageError(f"{name} is not a reference", mend="write env:NAME or file:PATH")
    return Secret(value, reference)
