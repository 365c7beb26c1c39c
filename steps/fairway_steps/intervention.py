"""A person's verdict on the stage under way, in place of the evidence's. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from fairway_steps.model import Verdict

DONE: Mapping[Verdict, str] = {
    Verdict.ADVANCE: "the rest of the stage was skipped",
    Verdict.PROMOTE: "the candidate was promoted",
    Verdict.ROLLBACK: "the candidate was rolled back",
}
"""What a person may say, and what it then says in the record."""


@dataclass(frozen=True, slots=True)
class Intervention:
    """Skip the stage (ADVANCE), promote in full or abort (ROLLBACK), on the word of ``by``; whatever assesses carries it out."""

    verdict: Verdict
    by: str
    at: float
    reason: str = ""

    def at_last(self, *, is_last: bool) -> Verdict:
        """The verdict that it is: to skip the last stage is to promote."""
        return Verdict.PROMOTE if is_last and self.verdict is Verdict.ADVANCE else self.verdict

    @property
    def sentence(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"{DONE[self.verdict]} on the word of {self.by}, not of the evidence{why}"
