"""Executing templates: steps and groups, conditions, recursion, retries.

Follows ``executeTemplate``, ``executeSteps`` and ``executeStepGroup`` of the Argo 3.7.6 controller. Two kinds of bad ends are
kept apart as there: a node *fails*, and then its group and template fail; or executing a template is impossible
(TemplateError), and then the node and its group end in Error, and the template around them fails. The steps of a group run
at the same time, in threads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fairway_workflows.local.daemons import Daemons
from fairway_workflows.local.expressions import evaluate_when
from fairway_workflows.local.lexers import ExpressionError
from fairway_workflows.local.model import NodeType, Phase, TemplateError
from fairway_workflows.local.pods import run_pod
from fairway_workflows.local.references import TAG, bind, parameters, substitute, text, values
from fairway_workflows.local.retry import Attempt, RetryStrategy
from fairway_workflows.local.run import Live, Run, together
from fairway_workflows.local.suspend import run_suspend

MAX_DEPTH = 100
"""Argo's limit of templates within templates; the one that would reach it ends in Error."""


@dataclass(frozen=True, slots=True)
class Call:
    """A template about to be executed as a node."""

    template: str
    arguments: Mapping[str, str]
    name: str
    display_name: str
    parent: Live | None = None
    depth: int = 1
    exit_handler: bool = False
    opened: Callable[[], None] = lambda: None
    """Called once the node is there."""


def execute(run: Run, call: Call) -> Live:
    """Execute a template to its end. Raises TemplateError when the node is in Error and its group has to be, too."""
    if call.depth >= MAX_DEPTH:
        return _impossible(run, call, "Maximum recursion depth exceeded")
    try:
        bound, inputs = bind(run.plan.templates[call.template], call.arguments, run.known)
    except TemplateError as error:
        _impossible(run, call, str(error))
        raise
    if call.template in run.plan.retries:
        return _retried(run, call, bound, inputs, run.plan.retries[call.template])
    return _attempt(run, call, bound, inputs)


def _impossible(run: Run, call: Call, why: str) -> Live:
    node = run.open(call.parent, call.name, call.display_name, call.template, NodeType.SKIPPED)
    return run.close(node, Phase.ERROR, why)


def _attempt(run: Run, call: Call, bound: Mapping[str, Any], inputs: Mapping[str, str]) -> Live:
    kind = NodeType.STEPS if "steps" in bound else NodeType.SUSPEND if "suspend" in bound else NodeType.POD
    node = run.open(call.parent, call.name, call.display_name, call.template, kind)
    call.opened()
    try:
        if kind is NodeType.STEPS:
            return _steps(run, call, node, bound, dict(inputs))
        return (run_suspend if kind is NodeType.SUSPEND else run_pod)(run, node, bound, exit_handler=call.exit_handler)
    except TemplateError as error:
        run.close(node, Phase.ERROR, str(error))
        raise
    finally:
        run.close(node, Phase.ERROR, "the local runner failed")  # no effect on a node that has ended


def _retried(
    run: Run, call: Call, bound: Mapping[str, Any], inputs: Mapping[str, str], strategy: RetryStrategy
) -> Live:
    parent = run.open(call.parent, call.name, call.display_name, call.template, NodeType.RETRY)
    try:
        while True:
            number = len(parent.children)
            again = replace(
                call, name=f"{call.name}({number})", display_name=f"{call.display_name}({number})", parent=parent
            )
            try:
                _attempt(run, again, substitute(bound, {"retries": str(number)}), inputs)
            except TemplateError:
                if Phase.ERROR not in strategy.phases:
                    raise
            last = parent.children[-1]
            parent.outputs, parent.exit_code = last.outputs, last.exit_code
            if not last.phase.unsuccessful:
                return run.close(parent, last.phase)
            if why := run.halted(call.exit_handler):
                return run.close(parent, last.phase, why)
            attempt = Attempt(last.phase, last.exit_code, (last.finished or 0.0) - last.started, last.message)
            decision = strategy.decide(attempt, number + 1, run.clock.now() - parent.children[0].started)
            if not decision.again:
                return run.close(parent, last.phase, decision.why)
            run.pause(decision.wait, exit_handler=call.exit_handler)
    except (TemplateError, ExpressionError) as error:
        run.close(parent, Phase.ERROR, str(error))
        raise TemplateError(str(error)) from error


def _steps(run: Run, call: Call, node: Live, bound: Mapping[str, Any], scope: dict[str, str]) -> Live:
    daemons = Daemons(run)
    try:
        failed = _groups(run, call, node, bound["steps"], scope, daemons)
    finally:
        daemons.end()
    if failed is not None:
        return run.close(node, Phase.FAILED, failed)
    for output in parameters(bound.get("outputs")):
        node.outputs[output["name"]] = _resolved(output["valueFrom"], scope)
    return run.close(node, Phase.SUCCEEDED)


def _groups(
    run: Run,
    call: Call,
    node: Live,
    groups: list[list[Mapping[str, Any]]],
    scope: dict[str, str],
    daemons: Daemons,
) -> str | None:
    """Run one group after another, adding to ``scope`` what they give; why one failed, or None."""
    for index, steps in enumerate(groups):
        group = run.open(node, f"{node.name}[{index}]", f"[{index}]", "", NodeType.STEP_GROUP)
        ran = _group(run, call, group, steps, scope, daemons)
        if group.phase.unsuccessful:
            return group.message
        for step, child in ran.items():
            scope[f"steps.{step}.status"] = child.phase.value
            if child.exit_code is not None:
                scope[f"steps.{step}.exitCode"] = str(child.exit_code)
            scope.update({f"steps.{step}.outputs.parameters.{name}": value for name, value in child.outputs.items()})
    return None


def _resolved(source: Mapping[str, Any], scope: Mapping[str, str]) -> str:
    match = TAG.fullmatch(text(source["parameter"]))
    if match and match[1].strip() in scope:
        return scope[match[1].strip()]
    if source.get("default") is None:
        raise TemplateError(f"Unable to resolve: {source['parameter']!r}")
    return text(source["default"])


def _group(
    run: Run, call: Call, group: Live, steps: list[Mapping[str, Any]], scope: Mapping[str, str], daemons: Daemons
) -> dict[str, Live]:
    """Run the steps of one group, close the group, and return the steps' nodes by step name."""
    known = {**run.known, **scope}
    try:
        filled = [substitute(step, known) for step in steps]
        runs = [evaluate_when(text(step.get("when") or "")) for step in filled]
    except ExpressionError as error:
        run.close(group, Phase.ERROR, f"Failed to resolve references: {error}")
        return {}
    errors: list[str] = []
    works = []
    for step, proceed in zip(filled, runs, strict=True):
        name = f"{group.name}.{step['name']}"
        if proceed:
            below = Call(
                step["template"],
                values(step.get("arguments")),
                name,
                step["name"],
                group,
                call.depth + 1,
                call.exit_handler,
            )
            if run.plan.templates[step["template"]].get("daemon"):
                daemons.start(partial(_beside, below, errors))
            else:
                works.append(partial(_tried, run, below, errors))
        else:
            skipped = run.open(group, name, step["name"], step["template"], NodeType.SKIPPED, Phase.SKIPPED)
            run.close(skipped, Phase.SKIPPED, f"when '{step['when']}' evaluated false")
    if works:
        together(works)
    nodes = {child.display_name: child for child in group.children}
    group.children.sort(key=lambda child: [step["name"] for step in steps].index(child.display_name))
    failed = [step["name"] for step in filled if not _goes_on(step, nodes[step["name"]].phase)]
    if errors:
        run.close(group, Phase.ERROR, errors[0])
    elif failed:
        run.close(group, Phase.FAILED, f"child '{nodes[failed[0]].name}' failed")
    else:
        run.close(group, Phase.SUCCEEDED)
    return nodes


def _beside(call: Call, errors: list[str], run: Run, opened: Callable[[], None]) -> None:
    _tried(run, replace(call, opened=opened), errors)


def _tried(run: Run, call: Call, errors: list[str]) -> None:
    try:
        execute(run, call)
    except TemplateError as error:
        errors.append(f"step group deemed errored due to child {call.name} error: {error}")


def _goes_on(step: Mapping[str, Any], phase: Phase) -> bool:
    accepted = step.get("continueOn") or {}
    if phase is Phase.ERROR:
        return bool(accepted.get("error"))
    return phase is not Phase.FAILED or bool(accepted.get("failed"))
