"""One pod: its folders, its containers in the order of their dependencies, and the files that are its outputs.

Follows Argo's emissary and executor: outputs come from container ``main``, also when it failed; a missing file gives the
default, and without one the node ends in Error; a container whose dependency failed never starts and ends with 64, and the
others of its pod are told to end.
"""

import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from fairway_workflows.local import process
from fairway_workflows.local.checks import OWN_PROGRAM
from fairway_workflows.local.folders import resolve
from fairway_workflows.local.launch import NOT_STARTED
from fairway_workflows.local.model import NodeType, Phase
from fairway_workflows.local.references import parameters, text
from fairway_workflows.local.retry import seconds
from fairway_workflows.local.run import Live, Run, together

_VARIABLE = re.compile(r"\$(\$|\(([^()]*)\)|)")


@dataclass(slots=True)
class Pod:
    """A pod being run. ``codes`` are the exit codes of the containers that have ended, ``said`` their last words, by name."""

    run: Run
    node: Live
    template: Mapping[str, Any]
    exit_handler: bool
    root: Path
    until: float | None
    codes: dict[str, int] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    ended: threading.Condition = field(default_factory=threading.Condition)
    why: str = ""

    def halted(self) -> str:
        """Why the pod's containers must end: it is too late, the run is stopped, or one of them has failed."""
        if self.until is not None and self.run.clock.now() >= self.until:
            self.why = "Pod was active on the node longer than the specified deadline"
        elif why := self.run.halted(self.exit_handler):
            self.why = why
        failed = sorted(name for name, code in self.codes.items() if code)
        return self.why or (f"container {failed[0]} failed" if failed else "")


def run_pod(run: Run, node: Live, template: Mapping[str, Any], *, exit_handler: bool) -> Live:
    """Run a bound ``container`` or ``containerSet`` template as ``node``, to its end."""
    if why := run.halted(exit_handler):
        return run.close(node, Phase.FAILED, why)
    (run.control / "pods").mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(dir=run.control / "pods"))
    try:
        limit = _limit(template)
        until = None if limit is None else run.clock.now() + limit
        pod = Pod(run, node, resolve(template, root), exit_handler, root, until)
        containers = pod.template["containers"]
        if template.get("container") is not None:
            ended = _container(pod, node, containers[0])
            node.stdout = ended.stdout
        else:
            _container_set(pod, containers)
        return _close(pod)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _limit(template: Mapping[str, Any]) -> float | None:
    limits = [seconds(text(template["timeout"]))] if template.get("timeout") else []
    if template.get("activeDeadlineSeconds") is not None:
        limits.append(float(template["activeDeadlineSeconds"]))
    return min(limits, default=None)


def _container_set(pod: Pod, containers: list[Mapping[str, Any]]) -> None:
    nodes = {
        c["name"]: pod.run.open(
            pod.node, f"{pod.node.name}.{c['name']}", c["name"], pod.node.template, NodeType.CONTAINER, Phase.PENDING
        )
        for c in containers
    }
    together([partial(_one_of_set, pod, nodes[container["name"]], container) for container in containers])


def _one_of_set(pod: Pod, node: Live, container: Mapping[str, Any]) -> None:
    """One container of a set, in a thread of its own: wait for its dependencies, run, tell the others."""
    for dependency in container.get("dependencies") or []:
        with pod.ended:
            pod.ended.wait_for(partial(pod.codes.__contains__, dependency))
        if pod.codes[dependency]:
            said = f'dependency "{dependency}" exited with non-zero code: {pod.codes[dependency]}'
            pod.said[container["name"]] = said
            _note(pod, container["name"], NOT_STARTED)
            pod.run.close(node, Phase.ERROR, f"{container['name']}: Error (exit code {NOT_STARTED}): {said}")
            return
    node.phase = Phase.RUNNING
    ended = _container(pod, node, container)
    node.stdout, node.exit_code = ended.stdout, ended.code
    if ended.code == 0:
        pod.run.close(node, Phase.SUCCEEDED)
    else:
        phase = Phase.ERROR if ended.code == NOT_STARTED else Phase.FAILED
        pod.run.close(node, phase, ended.why or f"{container['name']}: Error (exit code {ended.code})")


def _note(pod: Pod, name: str, code: int) -> None:
    with pod.ended:
        pod.codes[name] = code
        pod.ended.notify_all()


def _container(pod: Pod, node: Live, container: Mapping[str, Any]) -> process.Ended:
    own: dict[str, str] = {}
    for variable in container["env"]:
        own[variable["name"]] = _expand(variable["value"], own)
    program = [_expand(str(part), own) for part in [*container["command"], *container["args"]]]
    if program[0] == OWN_PROGRAM:
        program[:1] = [sys.executable, "-P", "-m", "fairway_steps"]  # -P: not from the current folder
    inherited = os.environ if pod.run.environment is None else pod.run.environment
    code = NOT_STARTED
    try:
        ended = process.run(
            program,
            environment={**inherited, **own},
            folder=pod.run.workdir,
            line=lambda line: pod.run.watch.line(node, line),
            halted=pod.halted,
            grace=pod.run.grace,
        )
        code = ended.code
        return ended
    finally:
        _note(pod, container["name"], code)


def _expand(value: str, variables: Mapping[str, str]) -> str:
    """Kubernetes' own ``$(NAME)`` in commands, arguments and values of variables; ``$$`` is a dollar sign."""

    def replaced(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return variables.get(match[2], match[0]) if match[2] is not None else match[0]

    return _VARIABLE.sub(replaced, value)


def _close(pod: Pod) -> Live:
    node = pod.node
    if pod.template.get("daemon"):
        return pod.run.close(node, Phase.SUCCEEDED)
    missing = _outputs(pod)
    node.exit_code = pod.codes.get("main")
    if pod.why or any(pod.codes.values()):
        return pod.run.close(node, Phase.FAILED, pod.why or _reason(pod))
    return pod.run.close(node, Phase.ERROR, missing) if missing else pod.run.close(node, Phase.SUCCEEDED)


def _reason(pod: Pod) -> str:
    """What Argo's controller tells of a failed pod (``inferFailedReason``): the first of its failed containers by name."""
    name = min(name for name, code in pod.codes.items() if code)
    return f"{name}: Error (exit code {pod.codes[name]})" + (f": {pod.said[name]}" if name in pod.said else "")


def _outputs(pod: Pod) -> str:
    """Read the output files into the node, up to the first that is missing and has no default; a sentence on that one."""
    for output in parameters(pod.template.get("outputs")):
        source = output["valueFrom"]
        try:
            value = Path(source["path"]).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            if source.get("default") is None:
                return f"output {output['name']!r} was not written: {error.strerror}"
            value = text(source["default"])
        pod.node.outputs[output["name"]] = value.removesuffix("\n")
    return ""
