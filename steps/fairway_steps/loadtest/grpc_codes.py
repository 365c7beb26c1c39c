"""The names of gRPC's status codes, in their order (https://grpc.io/docs/guides/status-codes/), as classes of errors have them."""

CODES = (
    "ok",
    "cancelled",
    "unknown",
    "invalid-argument",
    "deadline-exceeded",
    "not-found",
    "already-exists",
    "permission-denied",
    "resource-exhausted",
    "failed-precondition",
    "aborted",
    "out-of-range",
    "unimplemented",
    "internal",
    "unavailable",
    "data-loss",
    "unauthenticated",
)


def code_name(number: int) -> str:
    """``unavailable`` for 14."""
    return CODES[number] if 0 <= number < len(CODES) else f"code-{number}"
