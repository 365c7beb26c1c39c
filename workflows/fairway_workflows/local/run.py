"""What all parts of one run share: the clock, the tree of nodes, and whether somebody wants it to end."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fairway_steps.clock import Clock
from fairway_workflows.local.model import Ask, Node, NodeType, Observer, Phase, Question
from fairway_workflows.local.plan import Plan

BREATH = 0.1
"""Seconds between two looks at whether a wait is over."""


@dataclass(slots=True)
class Live:
    """A node while it lives; ``freeze`` gives what the outside sees."""

    name: str
    display_name: str
    template: str
    type: NodeType
    started: float
    phase: Phase = Phase.RUNNING
    outputs: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    message: str = ""
    finished: float | None = None
    children: list["Live"] = field(default_factory=list)
    stdout: str = ""

    def freeze(self) -> Node:
        children = tuple(child.freeze() for child in list(self.children))
        return Node(
            name=self.name,
            display_name=self.display_name,
            template=self.template,
            type=self.type,
            phase=self.phase,
            outputs=dict(self.outputs),
            exit_code=self.exit_code,
            message=self.message,
            started=self.started,
            finished=self.finished,
            children=children,
            retries=max(0, len(children) - 1) if self.type is NodeType.RETRY else 0,
            stdout=self.stdout,
        )


class Watch:
    """Calls an observer one call at a time. Its first error is kept and ends its watch: the run must still be made safe."""

    def __init__(self, observer: Observer, broken: Callable[[], None]) -> None:
        self._observer, self._broken, self._lock = observer, broken, threading.RLock()
        self.error: Exception | None = None

    def started(self, node: Live) -> None:
        self._tell(lambda: self._observer.node_started(node.freeze()))

    def finished(self, node: Live) -> None:
        self._tell(lambda: self._observer.node_finished(node.freeze()))

    def line(self, node: Live, text: str) -> None:
        self._tell(lambda: self._observer.line(node.freeze(), text))

    def suspended(self, node: Live, parameters: tuple[Question, ...]) -> None:
        self._tell(lambda: self._observer.suspended(node.freeze(), parameters))

    def _tell(self, call: Callable[[], None]) -> None:
        with self._lock:
            if self.error is None:
                try:
                    call()
                except Exception as error:  # noqa: BLE001 - raised again by the engine, when the exit handler has run
                    self.error = error
                    self._broken()


@dataclass(slots=True)
class Run:
    """One run. ``halted`` says why work must end now (empty: it need not), apart for the exit handler.

    ``terminal`` is held by whoever asks there: an answer must not reach another question.
    """

    plan: Plan
    clock: Clock
    watch: Watch
    workdir: Path
    control: Path
    ask: Ask | None
    known: dict[str, str]
    environment: Mapping[str, str] | None
    grace: float
    halted: Callable[[bool], str]
    terminal: threading.Lock = field(default_factory=threading.Lock)

    def open(
        self,
        parent: Live | None,
        name: str,
        display_name: str,
        template: str,
        kind: NodeType,
        phase: Phase = Phase.RUNNING,
    ) -> Live:
        """Begin a node below ``parent``."""
        node = Live(name, display_name, template, kind, self.clock.now(), phase)
        if parent is not None:
            parent.children.append(node)
        self.watch.started(node)
        return node

    def close(self, node: Live, phase: Phase, message: str = "") -> Live:
        """End a node; a node has one end, later ones are ignored."""
        if node.finished is None:
            node.phase, node.message, node.finished = phase, message, self.clock.now()
            self.watch.finished(node)
        return node

    def pause(self, seconds: float, *, exit_handler: bool) -> None:
        """Wait, but not beyond the moment when work must end."""
        until = self.clock.now() + seconds
        while not self.halted(exit_handler) and (left := until - self.clock.now()) > 0:
            self.clock.sleep(min(left, BREATH))


def together(works: Sequence[Callable[[], object]]) -> None:
    """Do all of it at the same time, and wait for all; the first error is raised then. One alone needs no thread."""
    if len(works) == 1:
        works[0]()
        return
    errors: list[BaseException] = []

    def guarded(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that asked for the work
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
