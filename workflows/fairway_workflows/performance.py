"""Performance: a load test of one version, judged by SLOs; no traffic moves, and there is neither a route nor a record.

A gate for CI: the workflow fails unless the version keeps its SLOs.
"""

from hera.workflows import ClusterWorkflowTemplate, Parameter, Steps, WorkflowTemplate
from hera.workflows.models import ValueFrom

from fairway_steps.strategy import Strategy
from fairway_workflows.argo import container
from fairway_workflows.catalog import catalog, step_spec
from fairway_workflows.compose import annotations, of_workflow, output, step, steps
from fairway_workflows.options import LOAD, ReleaseOptions
from fairway_workflows.parameters import READY, parameter
from fairway_workflows.safety import secured

OPTIONS = ReleaseOptions(strategy=Strategy.PERFORMANCE)
MAPPED = {
    "candidate": ("begin", "candidate"),
    **{of: ("wait-for-ready", name) for name, of in READY.items()},
    **{f"load-{name}": ("load-test", name) for name in LOAD},
    "slos": ("begin", "slos"),
    "fail-on": ("assess", "fail-on"),
}
"""The workflow's parameters: which step's option each is."""
FAIL_ON = "rollback,hold"
DESCRIPTION = (
    "Sends load to one version of an inference service and judges it by its SLOs: a gate for CI. No traffic moves; the workflow "
    "fails unless the evidence lets the version pass."
)


def build(options: ReleaseOptions = OPTIONS) -> WorkflowTemplate:
    """The load test and its judgement as a self-contained WorkflowTemplate."""
    kind = ClusterWorkflowTemplate if options.cluster_scope else WorkflowTemplate
    workflow = kind(
        api_version="argoproj.io/v1alpha1",
        name=options.template,
        annotations=annotations("Performance test", DESCRIPTION),
        entrypoint="main",
        arguments=[parameter(name, *of, FAIL_ON if name == "fail-on" else "") for name, of in MAPPED.items()],
        templates=[_main(), *(container(spec, options.images) for spec in catalog() if spec.name in STEPS)],
    )
    return secured(workflow, options.safety)


STEPS = ("wait-for-ready", "load-test", "assess")


def _main() -> Steps:
    """A pod for each step: the one that sends has no rights, and the verdict is another's."""
    ready = {"versions": of_workflow("candidate")} | {name: of_workflow(of) for name, of in READY.items()}
    load = {name: of_workflow(f"load-{name}") for name in LOAD}
    load |= {name: of_workflow(name) for name in ("payload", "slos")}
    judged = {name: of_workflow(name) for name in ("candidate", "slos", "fail-on")}
    judged |= {"metrics": f"summary:{output('load-test', 'summary')}", "is-last": "true"}
    given = {"wait-for-ready": ready, "load-test": load, "assess": judged}
    template = steps("main", (), [[step(name, name, given[name])] for name in STEPS])
    template.outputs = [
        Parameter(name=one.name, value_from=ValueFrom(parameter=output("assess", one.name), default=one.default))
        for one in step_spec("assess").outputs
    ]
    return template
