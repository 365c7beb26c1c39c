"""What a local run is made of: nodes, their phases, and the contracts with whoever watches and answers.

Names, types and phases are Argo's own (``NodeStatus`` in its API), so that the same scenario can be compared node by
node. The tree is by boundary: a Retry holds its attempts, a Steps its groups, a group its steps, a Pod of a container set
its containers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Phase(StrEnum):
    """The phase of a node, or of the whole workflow. Pending and Omitted are Argo's; nothing here stays in them."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERROR = "Error"
    SKIPPED = "Skipped"
    OMITTED = "Omitted"

    @property
    def unsuccessful(self) -> bool:
        return self in (Phase.FAILED, Phase.ERROR)


class NodeType(StrEnum):
    """What a node stands for."""

    POD = "Pod"
    CONTAINER = "Container"
    STEPS = "Steps"
    STEP_GROUP = "StepGroup"
    RETRY = "Retry"
    SKIPPED = "Skipped"
    SUSPEND = "Suspend"


@dataclass(frozen=True, slots=True)
class Node:
    """One node as it is now. ``started`` and ``finished`` are Unix seconds; ``retries`` counts the attempts after the first.

    ``exit_code`` is that of the container ``main`` alone, as Argo has it; ``stdout`` holds the last 256 kB of a container's.
    """

    name: str
    display_name: str
    template: str
    type: NodeType
    phase: Phase
    outputs: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    message: str = ""
    started: float = 0.0
    finished: float | None = None
    children: tuple["Node", ...] = ()
    retries: int = 0
    stdout: str = ""

    def walk(self) -> Iterator["Node"]:
        """Yield the node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class WorkflowResult:
    """How a run ended. ``phase`` is the workflow's own, as Argo gives it: a failed exit handler turns Succeeded into Failed.

    ``entry`` is the entry template's node and keeps its own result, whatever the exit handler did. ``stopped`` is the reason
    that was given to ``Engine.stop``, empty if nobody stopped the run.
    """

    name: str
    uid: str
    phase: Phase
    message: str
    entry: Node
    exit: Node | None
    stopped: str
    started: float
    finished: float

    @property
    def nodes(self) -> dict[str, Node]:
        """All nodes by name, the exit handler's included."""
        trees = (self.entry, self.exit) if self.exit else (self.entry,)
        return {node.name: node for tree in trees for node in tree.walk()}

    def find(self, display_name: str) -> list[Node]:
        """All nodes with a display name, in the order in which they were made."""
        return [node for node in self.nodes.values() if node.display_name == display_name]


@dataclass(frozen=True, slots=True)
class Question:
    """One output parameter that a suspended step waits for. ``choices`` is empty where any text will do."""

    name: str
    description: str = ""
    default: str | None = None
    choices: tuple[str, ...] = ()


class Observer(Protocol):
    """Who watches. Calls come one at a time, from several threads; an error in one ends the run after the exit handler."""

    def node_started(self, node: Node) -> None: ...

    def node_finished(self, node: Node) -> None: ...

    def line(self, node: Node, text: str) -> None:
        """One line of a container's stderr, without its end."""

    def suspended(self, node: Node, parameters: Sequence[Question]) -> None:
        """The node waits for an answer: on the terminal, or by ``answer`` in the control folder."""


class Silent:
    """An observer that looks away; a base for those who want some of the calls."""

    def node_started(self, node: Node) -> None: ...

    def node_finished(self, node: Node) -> None: ...

    def line(self, node: Node, text: str) -> None: ...

    def suspended(self, node: Node, parameters: Sequence[Question]) -> None: ...


Ask = Callable[[Node, Sequence[Question], Callable[[], bool]], Mapping[str, str] | None]
"""Asks a person. Must return soon after its third argument returns true; None means no answer will come from here."""


class TemplateError(Exception):
    """What Argo's controller calls an error in executing a template: the node and the group around it end in Error."""
