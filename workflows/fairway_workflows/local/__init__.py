"""A small interpreter of our own rendered Argo templates, to try and test a release on one machine.

It gives the same node phases and outputs as Argo's workflow-controller 3.7.6 for what it knows: ``steps``, ``container``,
``containerSet``, ``suspend``, conditions, recursion, retries, ``continueOn``, deadlines, mutexes and the exit handler. Anything
else is refused before anything runs. It is not an engine: past one machine, submit to Argo.

Where it differs on purpose: the steps of a pod are processes here, in folders that stand for its volumes; a held mutex refuses
instead of waiting; a failed attempt that will not be repeated is not waited for. Where Argo's own versions differ: outputs of
a skipped step have no value (from 3.7.16 on, the default of the step's template), so give each reader a default.
"""

from fairway_workflows.local.engine import Engine
from fairway_workflows.local.fields import IGNORED, refuse_unknown
from fairway_workflows.local.model import (
    Ask,
    Node,
    NodeType,
    Observer,
    Phase,
    Question,
    Silent,
    WorkflowResult,
)
from fairway_workflows.local.session import Signals, run_workflow
from fairway_workflows.local.suspend import Waiting, answer, waiting
from fairway_workflows.local.terminal import ask_on, ask_on_terminal

__all__ = [
    "IGNORED",
    "Ask",
    "Engine",
    "Node",
    "NodeType",
    "Observer",
    "Phase",
    "Question",
    "Signals",
    "Silent",
    "Waiting",
    "WorkflowResult",
    "answer",
    "ask_on",
    "ask_on_terminal",
    "refuse_unknown",
    "run_workflow",
    "waiting",
]
