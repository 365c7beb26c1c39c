"""A pod's own file system, played by folders: what a template calls ``/fairway/out`` is a private folder here.

Paths written in a template are the container's; paths that come in as parameters are the machine's. So a template's own
paths are replaced by marks when it is read, before any parameter is filled in, and the marks by folders when its pod starts.
Marked are the mount paths of ``emptyDir`` volumes (one folder a pod and volume) and the folders of output files outside
those (one a container, as in a cluster).
"""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from fairway_steps.errors import UsageError
from fairway_workflows.local.references import parameters

MARK = re.compile("\0([^\0]*)\0")


def containers(template: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The containers of a template's pod, each with its name and with the mounts of the whole set."""
    if template.get("container") is not None:
        return [{**template["container"], "name": "main"}]
    shared = template["containerSet"].get("volumeMounts") or []
    return [
        {**container, "volumeMounts": [*(container.get("volumeMounts") or []), *shared]}
        for container in template["containerSet"].get("containers") or []
    ]


def mark(template: Mapping[str, Any], volumes: set[str]) -> dict[str, Any]:
    """The template with ``containers`` as ``containers(template)`` gives them, and its own paths marked.

    ``volumes`` are the names of the workflow's own. Raises UsageError for a mount of a volume that nobody declared.
    """
    where = f"template {template['name']!r}"
    declared = volumes | {volume["name"] for volume in template.get("volumes") or []}
    outputs = [{**p, "valueFrom": dict(p.get("valueFrom") or {})} for p in parameters(template.get("outputs"))]
    folders = {str(PurePosixPath(output["valueFrom"].get("path", "/")).parent) for output in outputs}
    marked = []
    for container in containers(template):
        places = _mounts(where, container, declared)
        for folder in folders:
            if folder != "/" and not any(_inside(folder, place) for place in places):
                places[folder] = f"\0own/{container['name']}{folder}\0"
        marked.append(_rewritten(container, places))
        if container["name"] == "main":
            for output in outputs:
                if "path" in output["valueFrom"]:
                    output["valueFrom"]["path"] = _replace(output["valueFrom"]["path"], places)
    return {**template, "containers": marked, "outputs": {"parameters": outputs}}


def resolve(value: Any, root: Path) -> Any:
    """``value`` with each mark replaced by a folder under ``root``, which is made."""
    if isinstance(value, str):
        return MARK.sub(lambda match: str(_made(root / match[1])), value)
    if isinstance(value, Mapping):
        return {key: resolve(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, root) for item in value]
    return value


def _mounts(where: str, container: Mapping[str, Any], declared: set[str]) -> dict[str, str]:
    places = {}
    for mount in container.get("volumeMounts") or []:
        path = str(mount.get("mountPath", "")).rstrip("/")
        if mount.get("name") not in declared:
            raise UsageError(f"{where} mounts volume {mount.get('name')!r}, which nobody declares")
        if not path.startswith("/") or "{{" in path:
            raise UsageError(f"{where} mounts volume {mount['name']!r} at {path!r}, which is not a fixed absolute path")
        places[path] = f"\0volumes/{mount['name']}\0"
    return places


def _rewritten(container: dict[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    program, *rest = container.get("command") or [""]
    return {
        **container,
        "command": [program, *(_replace(str(argument), places) for argument in rest)],
        "args": [_replace(str(argument), places) for argument in container.get("args") or []],
        "env": [{**e, "value": _replace(str(e.get("value", "")), places)} for e in container.get("env") or []],
    }


def _replace(text: str, places: Mapping[str, str]) -> str:
    """Replace each place that stands as a path of its own, alone or as the beginning of a longer one."""
    if not places:
        return text
    longest_first = "|".join(re.escape(place) for place in sorted(places, key=len, reverse=True))
    return re.sub(rf"(?<![\w./}}-])({longest_first})(?![\w.-])", lambda match: places[match[1]], text)


def _inside(folder: str, place: str) -> bool:
    return folder == place or folder.startswith(f"{place}/")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
