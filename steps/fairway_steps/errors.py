"""What can go wrong, by what the caller should do about it.

    FairwayError
    ├── UsageError       exit 2   the input is wrong: mend it, then call again
    ├── DomainError      exit 1   the world is not as the release needs it
    │   ├── NotReady              a version did not become ready in time
    │   ├── NotSettled            a route was written, but the proxy does not serve it
    │   ├── Refused               a preflight said no, before anything was touched
    │   ├── Fenced                another release, or a newer holder of this one, owns the service
    │   └── Unassessable          no measurement could be taken at all
    └── TransientError   exit 75  the same call may work in a moment
        └── Conflict              somebody else changed the object meanwhile: read it again

Each message is one sentence that names what is wrong and where; ``mend`` is one that says how to put it right.
The original exception is always chained.
"""


class FairwayError(Exception):
    """The base of all errors Fairway raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, *, mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message}; {self.mend}" if self.mend else self.message


class UsageError(FairwayError):
    """The input is wrong: an option, a release file, a reference."""

    exit_code = 2


class DomainError(FairwayError):
    """The world is not as the release needs it."""


class NotReady(DomainError):
    """A version did not become ready in time."""


class NotSettled(DomainError):
    """A route was written, but the proxy does not serve it."""


class Refused(DomainError):
    """A preflight said no, before anything was touched."""


class Fenced(DomainError):
    """Another release, or a newer holder of this one, owns the service."""


class Unassessable(DomainError):
    """No measurement could be taken at all."""


class TransientError(FairwayError):
    """The same call may work in a moment."""

    exit_code = 75


class Conflict(TransientError):
    """Somebody else changed the object meanwhile: read it again, then write again."""
