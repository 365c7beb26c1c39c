"""A run whose record somebody took away, or spoilt, in the middle: what it still knows says whose the traffic is."""

from fairway_steps.cli.wiring import router
from fairway_steps.config import ReleaseSpec
from fairway_steps.errors import FairwayError
from fairway_steps.model import Routes
from fairway_steps.words import shares
from fairway_workflows.local import Node, Phase, WorkflowResult

SAFE = ("confirmed", "restored")
"""What `ensure-safe` did where it knew whose the traffic is: of a spoilt record there may be enough left for that."""


def without_record(spec: ReleaseSpec, route: str, result: WorkflowResult, lost: str) -> str:
    """See that the traffic is where it belongs, by what the run's own steps said; returns what has become of it, in words.

    What ``ensure-safe`` made sure of stays. Else no step knows the way back any more, but the release file does: all goes to the version
    that was promoted, or to the primary. Another release that has the route by now keeps it.
    """
    versions = {version.name: version for version in (spec.primary, *spec.candidates)}
    path = router(route, spec.service, versions.values())
    belongs = _last(result, "stable-version", "promote", "promote-first") or spec.primary.name
    try:
        if _last(result, "action", "ensure-safe", "make-sure") not in SAFE:
            path.apply(Routes({belongs: 100}), versions, fence=int(_last(result, "token", "begin") or 0))
        now = path.read()
    except FairwayError as error:
        return f"{lost}; whose the traffic is could not be made sure of: {error.message}"
    if len(now.weights) != 1:
        return f"{lost}; the route holds {shares(now.weights)}"
    (name,) = now.weights
    return f"{lost}; all traffic is {'back ' if name == spec.primary.name else ''}on {name}"


def _last(result: WorkflowResult, output: str, *steps: str) -> str:
    """The output of the last of these steps that succeeded; empty if none did."""
    ended: list[Node] = [node for step in steps for node in result.find(step) if node.phase is Phase.SUCCEEDED]
    return next((node.outputs[output] for node in reversed(ended) if node.outputs.get(output)), "")
