"""Steps as Argo templates: each a Hera Container whose inputs, arguments and outputs are those of the command.

Arguments are a list of ``--name={{inputs.parameters.name}}``, never a shell line, so that no value can become code;
``command`` is always set, for otherwise the controller asks the registry what the image would run. Outputs are files
in an emptyDir, each with its safe value for when the file is not there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata

from hera.workflows import Container, Parameter
from hera.workflows.models import ValueFrom

from fairway_steps.outputs import Output
from fairway_workflows.catalog import Param, StepSpec

OUT_DIR = "/fairway/out"
WRITTEN: Mapping[tuple[str, str], str] = {("report", "out"): "/fairway/report.html"}
"""Defaults of files that a command puts into its working folder: that of a pod is read-only."""


@dataclass(frozen=True, slots=True)
class Images:
    """Where the images are: ``PREFIXcore:TAG``, ``PREFIXassess:TAG``, ``PREFIXloadtest:TAG``."""

    prefix: str = "fairway-"
    tag: str = metadata.version("fairway")

    def of(self, kind: str) -> str:
        return f"{self.prefix}{kind}:{self.tag}"


def container(spec: StepSpec, images: Images) -> Container:
    """The step as a template of its own, with all of its parameters."""
    return Container(
        name=spec.name,
        image=images.of(spec.image),
        command=["fairway"],
        args=arguments(spec, (param.name for param in spec.inputs)),
        inputs=[input_of(param, WRITTEN.get((spec.name, param.name), "")) for param in spec.inputs],
        outputs=[output_of(output) for output in spec.outputs],
    )


def arguments(spec: StepSpec, names: Iterable[str]) -> list[str]:
    """The arguments that pass the template's inputs of these names on to the step."""
    passed = [f"--{name}={reference('inputs.parameters', name)}" for name in names]
    return [spec.name, *passed, f"--out-dir={OUT_DIR}"]


def input_of(param: Param, default: str = "", *, name: str = "") -> Parameter:
    """A parameter as a template's input, called ``name``. Where unset is allowed, the empty string is one of the choices."""
    name = name or param.name
    unset = () if param.required or param.default else ("",)
    choices = [*unset, *param.choices] if param.choices else None
    if param.required:
        return Parameter(name=name, description=param.help, enum=choices)
    return Parameter(name=name, default=default or param.default, description=param.help, enum=choices)


def output_of(output: Output) -> Parameter:
    """An output as a file in ``OUT_DIR``, with its safe value."""
    return Parameter(
        name=output.name,
        description=output.help,
        value_from=ValueFrom(path=f"{OUT_DIR}/{output.name}", default=output.default),
    )


def reference(scope: str, name: str) -> str:
    """``{{scope.name}}``."""
    return f"{{{{{scope}.{name}}}}}"
