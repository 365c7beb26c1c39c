"""The engine: one run from its arguments to its result, its exit handler included, and how it is stopped.

The workflow runs in a thread of its own; the thread that called ``run`` only waits, so that a signal can reach it at any moment
without tearing anything. A stop does what ``argo stop`` does: what runs is ended, the exit handler runs. The exit handler
protects the traffic, so no stop touches it, however many come: an impatient hand on Ctrl-C must not leave traffic on the
candidate. Its steps have timeouts of their own.
"""

import json
import os
import tempfile
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fairway_steps.cli import Terminated
from fairway_steps.clock import Clock
from fairway_workflows.local.interpreter import Call, execute
from fairway_workflows.local.locks import held, own
from fairway_workflows.local.model import Ask, NodeType, Observer, Phase, TemplateError, WorkflowResult
from fairway_workflows.local.plan import Plan, read
from fairway_workflows.local.references import substitute
from fairway_workflows.local.run import Live, Run, Watch

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""
ENTRY_ERROR = "error in entry template execution"
"""How Argo begins the message of a workflow that it ends at once, without its exit handler."""


class Engine:
    """One run of one workflow. ``run`` may be called once."""

    def __init__(
        self,
        template: Mapping[str, Any],
        arguments: Mapping[str, str],
        *,
        workdir: Path,
        observer: Observer,
        control: Path,
        clock: Clock,
        name: str,
        ask: Ask | None = None,
        locks: Path | None = None,
        environment: Mapping[str, str] | None = None,
        grace: float = GRACE,
        uid: str = "",
    ) -> None:
        """Read the workflow; nothing runs yet. Raises UsageError for one that cannot be run here.

        ``workdir`` is where containers run, ``control`` a folder of this run's own (answers come through it), ``locks`` where
        mutexes are kept (one place a user, if not given), ``environment`` what containers inherit (the process's, if not given), ``uid`` what ``{{workflow.uid}}``
        stands for (a random one, if not given).
        """
        self._plan: Plan = read(template, arguments)
        self._name, self._uid, self._clock = name, uid or str(uuid.uuid4()), clock
        self._locks = locks or Path(tempfile.gettempdir()) / f"fairway-{os.getuid()}" / "locks"
        self._reason = ""
        self._until: float | None = None
        self._failures: list[BaseException] = []
        self._ended = threading.Event()
        self._watch = Watch(observer, lambda: self.stop("the observer failed"))
        self._run = Run(
            plan=self._plan,
            clock=clock,
            watch=self._watch,
            workdir=workdir.absolute(),
            control=control.absolute(),
            ask=ask,
            known={
                "workflow.name": name,
                "workflow.uid": self._uid,
                "workflow.namespace": self._plan.namespace,
                "workflow.status": Phase.RUNNING.value,
                **{f"workflow.parameters.{key}": value for key, value in self._plan.parameters.items()},
            },
            environment=environment,
            grace=grace,
            halted=self._halted,
        )

    def stop(self, reason: str) -> None:
        """Stop the run. May be called from any thread and from a signal handler: it takes no lock."""
        self._reason = self._reason or reason

    def _halted(self, exit_handler: bool) -> str:
        if exit_handler:
            return ""
        if self._reason:
            return f"stopped: {self._reason}"
        return "Step exceeded its deadline" if self._until is not None and self._clock.now() >= self._until else ""

    def run(self) -> WorkflowResult:
        """Run the workflow and its exit handler to their ends.

        Raises Refused, before anything runs, if another run holds a mutex of this one or its control folder. What went wrong
        inside the runner itself is raised when the exit handler has run.
        """
        mutexes = [substitute(mutex, self._run.known) for mutex in self._plan.mutexes]
        with held(self._locks, mutexes, self._name), own(self._run.control):
            outcome: list[WorkflowResult] = []
            thread = threading.Thread(target=self._work, args=(outcome,), name=f"workflow {self._name}")
            thread.start()
            self._await()
            if failure := (next(iter(self._failures), None) or self._watch.error):
                raise failure
            return outcome[0]

    def _await(self) -> None:
        """Wait for the end, and take a raised signal for a stop."""
        try:
            while not self._ended.wait(0.2):  # not Thread.join: an exception in it takes the thread for ended
                pass
        except (KeyboardInterrupt, Terminated) as signalled:
            self.stop("interrupted" if isinstance(signalled, KeyboardInterrupt) else "terminated")
            self._await()

    def _work(self, outcome: list[WorkflowResult]) -> None:
        try:
            outcome.append(self._whole())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that called run
            self._failures.append(error)
        finally:
            self._ended.set()

    def _whole(self) -> WorkflowResult:
        root = Live("", "", "", NodeType.STEPS, self._clock.now())
        if self._plan.deadline is not None:
            self._until = root.started + self._plan.deadline
        phase, message = self._entry(root)
        if self._plan.on_exit and not (phase is Phase.ERROR and message.startswith(ENTRY_ERROR)):
            phase, message = self._exit(root, phase, message)
        entry, *handler = [child.freeze() for child in root.children]
        return WorkflowResult(
            name=self._name,
            uid=self._uid,
            phase=phase,
            message=message,
            entry=entry,
            exit=handler[0] if handler else None,
            stopped=self._reason,
            started=root.started,
            finished=self._clock.now(),
        )

    def _entry(self, root: Live) -> tuple[Phase, str]:
        call = Call(self._plan.entrypoint, self._plan.parameters, self._name, self._name, root)
        try:
            node = execute(self._run, call)
        except TemplateError as error:
            return Phase.ERROR, f"{ENTRY_ERROR}: {error}"
        except BaseException as error:  # noqa: BLE001 - kept, and raised when the exit handler has made all safe
            self._failures.append(error)
            return Phase.ERROR, "the local runner failed"
        return node.phase, f"stopped: {self._reason}" if node.phase.unsuccessful and self._reason else node.message

    def _exit(self, root: Live, phase: Phase, message: str) -> tuple[Phase, str]:
        """Run the exit handler. It can turn a success into a failure, and never the other way round."""
        name = f"{self._name}.onExit"
        failures = json.dumps(_failures(root), ensure_ascii=False)
        # Argo quotes the list once more, so that it comes as one JSON string.
        known = {"workflow.status": phase.value, "workflow.failures": json.dumps(failures, ensure_ascii=False)}
        self._run.known.update(known)
        call = Call(self._plan.on_exit, self._plan.parameters, name, name, root, exit_handler=True)
        try:
            node = execute(self._run, call)
        except TemplateError as error:
            return Phase.ERROR, f"error in exit template execution: {error}"
        except BaseException as error:  # noqa: BLE001 - raised in the thread that called run
            self._failures.append(error)
            return Phase.ERROR, "the local runner failed"
        if phase is Phase.SUCCEEDED and node.phase.unsuccessful:
            return node.phase, node.message
        return phase, message


def _failures(root: Live) -> list[dict[str, str]] | None:
    """What ``{{workflow.failures}}`` tells: every node that failed, in Argo's form."""
    nodes = [node for tree in root.children for node in tree.freeze().walk() if node.phase.unsuccessful]
    return [
        {
            "displayName": node.display_name,
            "message": node.message,
            "templateName": node.template,
            "phase": node.phase.value,
            "podName": node.name,
            "finishedAt": datetime.fromtimestamp(node.finished or 0.0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        for node in nodes
    ] or None
