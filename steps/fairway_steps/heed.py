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
    if _asking(record):
        return f"the evidence of release {record.release_id} has decided nothing, and nobody assesses it until a person has answered"
    left = [version.name for version in record.candidates if version.name not in record.dropped]
    if verdict is Verdict.PROMOTE and len(left) > 1:
        return f"which of {' and '.join(left)} to promote is not said, and none has won yet"
    return ""


def _asking(record: Record) -> bool:
    """Whether the last judgement was to hold, and no stage was entered since, be it the same one anew."""
    last = record.results[-1] if record.results else record.rehearsal
    if last is None or last.assessment.verdict is not Verdict.HOLD:
        return False
    entered = [change.at for change in record.timeline]
    entered += [event.at for event in record.events if event.step == "set-weights" and not event.failed]
    return not any(at >= last.at for at in entered)
