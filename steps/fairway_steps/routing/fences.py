"""Where a stored route keeps the highest fencing token that it has seen: an annotation."""

from fairway_steps.cluster import Manifest

FENCE = "fairway/fence"
LONGEST = 63 - len("fence-")
"""What Kubernetes leaves for a service's name in the name of an annotation."""


def mark_of(service: str) -> str:
    """The annotation of a service's own token, where several services share one object."""
    if len(service) > LONGEST:
        import hashlib  # noqa: PLC0415 - hardly ever

        service = f"{service[:40]}.{hashlib.sha256(service.encode()).hexdigest()[:12]}"
    return f"{FENCE}-{service}"


def noted(found: Manifest, mark: str = FENCE) -> int:
    """The token in the annotation ``mark``; 0 for none."""
    told = str((found["metadata"].get("annotations") or {}).get(mark, "0"))
    return int(told) if told.isdecimal() else 0
