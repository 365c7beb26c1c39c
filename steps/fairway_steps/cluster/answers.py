"""What an API server's answers mean: one clear sentence each, and whether to try again.

Statuses and their reasons: https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#http-status-codes
"""

import json
from collections.abc import Mapping
from typing import Any

from fairway_steps.cluster import Reference
from fairway_steps.errors import Conflict, DomainError, FairwayError, TransientError

AGAIN = frozenset({429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""
LONGEST_PAUSE = 10.0


def status_of(body: bytes) -> Mapping[str, Any]:
    """The ``Status`` object in an answer; empty where the body is something else, such as a proxy's page."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}


def is_missing_object(status: int, answer: Mapping[str, Any]) -> bool:
    """Whether a 404 speaks of the object: one for a kind that the server does not serve names no object."""
    return status == 404 and bool((answer.get("details") or {}).get("name"))


def pause(status: int, headers: Mapping[str, str], attempt: int) -> float:
    """Seconds until the next attempt: what the server asks for, else a quarter of a second and more each time."""
    try:
        asked = float(headers.get("Retry-After", ""))
    except ValueError:
        asked = 0.25 * 2.0**attempt
    return min(LONGEST_PAUSE, max(0.0, asked)) if status else asked


def refusal(verb: str, ref: Reference, status: int, body: bytes) -> FairwayError:  # noqa: PLR0911 - one return a meaning
    """The error an answer stands for."""
    answer = status_of(body)
    said = str(answer.get("message", "")).strip() or body[:200].decode(errors="replace").strip()
    what = f"the API server refused to {verb} {ref}"
    if status == 401:
        return DomainError(f"{what}: it does not know who we are (401)", mend="renew the credentials of the kubeconfig")
    if status == 403:
        return DomainError(f"{what}: {said}", mend="give the service account the role in manifests/argo/rbac")
    if status == 409:
        return Conflict(f"{ref} was changed by somebody else just now: {said}")
    if status == 404 and not is_missing_object(status, answer):
        return DomainError(
            f"the cluster has no kind {ref.kind} of {ref.api_version}", mend="install its CustomResourceDefinition"
        )
    if status == 404:
        return DomainError(f"there is no {ref}")
    if status in AGAIN:
        return TransientError(f"the API server could not {verb} {ref} ({status}): {said}")
    return DomainError(f"{what} ({status}): {said}")
