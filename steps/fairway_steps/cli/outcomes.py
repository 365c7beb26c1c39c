"""Options that list outcomes."""

from fairway_steps.cli import nearest
from fairway_steps.errors import UsageError
from fairway_steps.model import Outcome


def outcomes(listed: str | None, option: str) -> frozenset[Outcome]:
    """``rolled-back,held`` as outcomes; none for an empty list. Raises UsageError, which names ``--option``."""
    names = [name.strip() for name in (listed or "").split(",") if name.strip()]
    known = [outcome.value for outcome in Outcome]
    for name in names:
        if name not in known:
            hint = nearest(name, known) or f"; it is one of {', '.join(known)}"
            raise UsageError(f"--{option}: {name!r} is no outcome{hint}")
    return frozenset(Outcome(name) for name in names)
