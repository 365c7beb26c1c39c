"""Whether the containers of an Argo template can run, call our commands as they are, and write what is read from them."""

from collections.abc import Iterator

from fairway_steps.cli import nearest
from fairway_workflows.check_calls import Template, circles
from fairway_workflows.check_command import Line, line
from fairway_workflows.findings import items, names, repeated, runs_a_shell_line, section, text


def container_problems(template: Template, spec: Template) -> Iterator[str]:
    """What is wrong with the containers of a template; ``spec`` is that of its workflow."""
    single = section(template, "container")
    several = items(template, "containerSet", "containers")
    containers = [single] if single else several
    volumes = {str(v.get("name")) for side in (template, spec) for v in items(side, "volumes")}
    volumes |= {str(section(v, "metadata").get("name")) for v in items(spec, "volumeClaimTemplates")}
    has_command = bool(section(spec, "templateDefaults", "container").get("command"))
    for container in containers:
        where = f"container {container['name']}" if container.get("name") else "the container"
        if not container.get("command") and not has_command:
            yield f"{where} has no command: Argo would have to ask the image's registry for it"
        if runs_a_shell_line(container):
            yield f"{where} runs a shell line (sh -c), in which a parameter's value can become code"
        for mount in items(container, "volumeMounts"):
            if mount.get("name") not in volumes and not items(template, "inputs", "artifacts"):
                yield f"{where} mounts the volume {mount.get('name')!r}, which is not declared"
    if "{{" in str(section(template, "script").get("source", "")):
        yield "its script has {{…}} in the source, where a parameter's value can become code"
    if several:
        yield from _set(several, with_outputs=bool(items(template, "outputs", "parameters")))
    lines = [line(container) for container in containers]
    inputs = names(items(template, "inputs", "parameters"))
    for ours in filter(None, lines):
        yield from ours.problems()
        yield from ours.unpassed(inputs, "{{{{inputs.parameters.{}}}}}")
    yield from _outputs(items(template, "outputs", "parameters"), lines)


def _set(containers: list[Template], *, with_outputs: bool) -> Iterator[str]:
    known = names(containers)
    yield from (f"there is more than one container {name!r}" for name in repeated(known))
    if "main" not in known and with_outputs:
        yield "it has outputs but no container 'main', the only one that they are read from"
    for circle in circles({str(c.get("name", "")): list(map(str, c.get("dependencies") or [])) for c in containers}):
        yield f"its containers {circle} wait for one another for ever; take one of these dependencies out"
    for container in containers:
        for needed in container.get("dependencies") or []:
            if needed not in known:
                yield f"container {container.get('name')} depends on {needed!r}, which there is not{nearest(str(needed), known)}"


def _outputs(outputs: list[Template], lines: list[Line | None]) -> Iterator[str]:
    """Outputs that are read from files which nobody writes, or that fall back on another value than the step's own."""
    known = {name: output for ours in lines if ours for name, output in ours.outputs.items()}
    written = [ours.files() if ours else None for ours in lines]
    files = {path: name for each in written if each for path, name in each.items()}
    for output in outputs:
        name, source = str(output.get("name")), section(output, "valueFrom")
        path, default = source.get("path"), source.get("default")
        if path and lines and None not in written:
            there = next((file for file, of in files.items() if of == name), "")
            if path not in files:
                yield f"output {name!r} is read from {path}, which is not written" + (there and f"; it is in {there}")
            elif name in known and files[path] != name:
                yield f"output {name!r} is read from {path}, which holds {files[path]!r}"
        if name in known and default is not None and text(default) != known[name].default:
            yield f"output {name!r} falls back on {text(default)!r}; the step's own safe value is {known[name].default!r}"
