"""What may differ between the workflows that are rendered; what differs between releases is a workflow parameter."""

from dataclasses import dataclass, field
from typing import Literal

from fairway_steps.config import Approval
from fairway_steps.strategy import Strategy
from fairway_workflows.argo import Images
from fairway_workflows.compose import ASKED
from fairway_workflows.safety import Safety

MAJOR = 1
JUDGED = ("interval", "patience", "on-inconclusive", "metrics")
"""What the judging steps are given besides."""
LOAD = ("url", "rate", "duration")
"""What a load test is given, as the workflow's parameters ``load-…``."""
LOAD_JUDGED = ("stop-early", "version")
"""What it is given besides where it is itself the evidence of a stage."""
LOAD_SHARED = ("payload", "slos")
"""What it is given of the release's own: requests are counted over the very limits that the release is judged by."""


@dataclass(frozen=True, slots=True)
class ReleaseOptions:
    """A release by ``strategy``, as the template ``name`` (by default called like the strategy).

    ``approval`` says where the release waits for a person. ``load_test`` sends load from a pod without rights: as a ``rehearsal`` to the
    candidate while it has no users, if the workflow is given a URL; ``beside`` each stage, which is judged by whatever serves evidence; or
    before each verdict, which is then ``judged`` by the summary of that load alone, a parameter of at most 1 kB: no metrics and no
    artifact repository are needed. ``granularity`` says what one pod is: a stage, or the whole ramp. ``cluster_scope`` makes a
    ClusterWorkflowTemplate.
    """

    name: str = ""
    strategy: Strategy = Strategy.CANARY
    approval: Approval = Approval.NONE
    load_test: Literal["no", "rehearsal", "beside", "judged"] = "rehearsal"
    granularity: Literal["stage", "release"] = "stage"
    cluster_scope: bool = False
    images: Images = field(default_factory=Images)
    safety: Safety = field(default_factory=Safety)

    def __post_init__(self) -> None:
        if self.load_test == "judged" and self.granularity == "release":
            raise ValueError("a load test that is judged stands between the pods of a stage")

    @property
    def template(self) -> str:
        """The name of the WorkflowTemplate."""
        return f"{self.name or self.strategy}-v{MAJOR}"

    @property
    def rehearsed(self) -> bool:
        return self.load_test == "rehearsal"

    @property
    def asks_first(self) -> bool:
        """Whether a person is asked before anything else happens; without stages the promotion is the first traffic."""
        first = self.approval is Approval.BEFORE_TRAFFIC
        return first or not (self.strategy.staged or self.approval is Approval.NONE)

    @property
    def loaded(self) -> bool:
        """Whether load is sent in the stages."""
        return self.load_test in ("beside", "judged")

    @property
    def whole(self) -> bool:
        """Whether one pod begins the release, runs the ramp and ends it: nobody is asked in between, and no load is sent."""
        return self.granularity == "release" and self.approval is Approval.NONE and self.load_test == "no"

    @property
    def watched(self) -> bool:
        """Whether the candidate is looked at while a person is asked; a load test has ended then, and serves no evidence."""
        return self.load_test != "judged"

    @property
    def judge(self) -> str:
        """The template that judges, and its step."""
        return "ramp" if self.granularity == "release" else "stage"

    @property
    def ramp(self) -> str:
        """The template of what follows a verdict."""
        return "release" if self.granularity == "release" else "ramp"

    @property
    def load(self) -> tuple[str, ...]:
        """The options of the load test that are parameters of the workflow."""
        if self.load_test == "no" or not self.strategy.staged:
            return ()
        return (*LOAD, *(LOAD_JUDGED if self.load_test == "judged" else ()))

    @property
    def sent(self) -> tuple[str, ...]:
        """What the load test needs, as inputs of the templates that call it."""
        shared = (*LOAD_SHARED, *(("candidate",) if self.load_test == "judged" else ()))
        return (*(f"load-{name}" for name in self.load), *shared) if self.load else ()

    @property
    def given(self) -> tuple[str, ...]:
        """What the templates of the ramp hand on to one another, besides the stage."""
        return (*ASKED, *JUDGED, "hold-timeout", *(self.sent if self.loaded else ()))
