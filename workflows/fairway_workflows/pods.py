"""Several steps as one pod, one after another: Argo's controller needs about 10 s for every pod in a row.

All run from the biggest of their images, so that a node pulls one. The last is the container ``main``, whose end hands over the outputs
of all of them, for they share the folder that outputs are written to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hera.workflows import Container, Parameter
from hera.workflows.models import ContainerNode, ContainerSetTemplate, Inputs, Outputs, Template

from fairway_workflows.argo import OUT_DIR, Images, input_of, output_of, reference
from fairway_workflows.catalog import step_spec

BY_SIZE = ("core", "loadtest", "assess")


@dataclass(frozen=True, slots=True)
class Call:
    """One step of such a pod: which of the template's inputs each of its options is given, and the options that are ``fixed``."""

    step: str
    given: Mapping[str, str]
    fixed: Mapping[str, str] = field(default_factory=dict)

    def arguments(self) -> list[str]:
        passed = [f"--{name}={reference('inputs.parameters', of)}" for name, of in self.given.items()]
        told = [f"--{name}={value}" for name, value in self.fixed.items()]
        return [self.step, *passed, *told, f"--out-dir={OUT_DIR}"]

    def inputs(self) -> dict[str, Parameter]:
        params = {param.name: param for param in step_spec(self.step).inputs}
        return {of: input_of(params[name], name=of) for name, of in self.given.items()}


def alike(*names: str) -> dict[str, str]:
    """Options that are given the inputs of their own names."""
    return {name: name for name in names}


def beside(name: str, call: Call, images: Images) -> Container:
    """The template ``name``: one step that runs beside the later steps of the template that calls it, and ends with that."""
    return Container(
        name=name,
        image=images.of(step_spec(call.step).image),
        command=["fairway"],
        args=call.arguments(),
        inputs=list(call.inputs().values()),
        daemon=True,
    )


def one_pod(name: str, calls: Sequence[Call], images: Images, *, display: str = "") -> Template:
    """The template ``name``; ``display`` is what Argo's UI calls its nodes."""
    specs = [step_spec(call.step) for call in calls]
    image = images.of(max((spec.image for spec in specs), key=BY_SIZE.index))
    names = [*(call.step for call in calls[:-1]), "main"]
    inputs: dict[str, Parameter] = {}
    for call in calls:
        inputs = call.inputs() | inputs
    return Template(
        name=name,
        annotations={"workflows.argoproj.io/display-name": display} if display else None,
        inputs=Inputs(parameters=[one.as_input() for one in inputs.values()]),
        outputs=Outputs(parameters=[output_of(one).as_output() for spec in specs for one in spec.outputs]),
        container_set=ContainerSetTemplate(
            containers=[
                ContainerNode(
                    name=container,
                    image=image,
                    command=["fairway"],
                    args=call.arguments(),
                    # Of all before it, the first first: so the code of the one that failed is told by each that never ran.
                    dependencies=names[:place] or None,
                )
                for place, (container, call) in enumerate(zip(names, calls, strict=True))
            ]
        ),
    )
