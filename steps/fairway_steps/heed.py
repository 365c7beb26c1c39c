"""A person's word on a release that runs: who still carries it out, and what is said where nobody would. Pure."""

from fairway_steps.model import Verdict
from fairway_steps.record import Record


def unheeded(record: Record, verdict: Verdict) -> str:
    """Why nobody would carry this word out, as a sentence; empty if somebody does. An abort is heeded up to the end."""
    if verdict is Verdict.ROLLBACK:
        return ""
    name = record.chosen.name
    if record.first or not record.strategy.staged:
        return f"release {record.release_id} has no stage to end: {name} is promoted as soon as it is ready"
    last = record.results[-1].assessment.verdict if record.results else Verdict.HOLD
    if last in (Verdict.PROMOTE, Verdict.ROLLBACK):
        return (
            f"the stages of release {record.release_id} have ended with the verdict {last.value}: there is none to skip"
        )
    left = [version.name for version in record.candidates if version.name not in record.dropped]
    if verdict is Verdict.PROMOTE and len(left) > 1:
        return f"which of {' and '.join(left)} to promote is not said, and none has won yet"
    return ""
