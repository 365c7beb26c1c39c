"""Manifests as YAML that Go and Python read alike, and the folder of them that is committed.

PyYAML leaves strings bare that other readers take for numbers (``1e3``, ``25921e05``: https://github.com/yaml/pyyaml/issues/173):
here every string is quoted that is not plainly safe. The order of keys is that of construction, so a rendering is
the same each time. One resource a file, but for the rights, which belong together.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from fairway_steps.config import Approval
from fairway_steps.errors import UsageError
from fairway_steps.strategy import Strategy
from fairway_workflows import kustomize, rbac, strategies, tekton, tekton_release
from fairway_workflows.argo import Images
from fairway_workflows.catalog import catalog
from fairway_workflows.library import library
from fairway_workflows.options import MAJOR, ReleaseOptions
from fairway_workflows.safety import Safety

SAFE = re.compile(r"[A-Za-z_/][A-Za-z0-9_./ =<>+()-]*[A-Za-z0-9_./)]|[A-Za-z]{2,}")
"""Strings that every YAML reader takes for strings, but for ``WORDS``: begin with a letter, hold nothing that is syntax."""
WORDS = frozenset(["y", "yes", "n", "no", "true", "false", "on", "off", "null", "nan", "inf", "infinity"])
FOLDERS = ("argo", "tekton")
"""The folders below the target that hold the renderings."""
ARRANGED = ("base", "components", "overlays")
"""Those that arrange them for `kubectl apply -k`."""
APART = ("cluster/", "rbac/")
"""Folders that a kustomization leaves to be applied as needed, but for the rights to ``BACK_END``."""
BACK_END = "gateway-api"
MARK = "# Rendered by `fairway render`: change the steps or the builder, not this file."
"""The first line of every manifest; a file without it is not ours to remove."""


class Dumper(yaml.SafeDumper):
    """Quotes what is not plainly safe, writes several lines as a block, indents lists, and knows no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, False)


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if _is_block(text) else None if plain(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _is_block(text: str) -> bool:
    """Whether a text is lines of printable characters, so that a block shows all there is to it.

    YAML 1.1 breaks lines at U+0085, U+2028 and U+2029 too.
    """
    lines = text.split("\n")
    return len(lines) > 1 and all(line.isprintable() and line == line.rstrip() for line in lines)


Dumper.add_representer(str, _string)


def plain(text: str) -> bool:
    """Whether a string may stand without quotes: no reader of YAML 1.1 or 1.2 takes it for anything else."""
    return bool(SAFE.fullmatch(text)) and text.lower() not in WORDS and "  " not in text


def dump(*documents: Mapping[str, Any]) -> str:
    """The documents as one YAML file."""
    text: str = yaml.dump_all(
        documents, Dumper=Dumper, sort_keys=False, width=2**31, allow_unicode=True, default_flow_style=False
    )
    return f"{MARK}\n{text}"


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a rendering takes: where the images are, and the safety of the workflows."""

    images: Images = field(default_factory=Images)

    @property
    def safety(self) -> Safety:
        return Safety(self.images.tag)

    def releases(self) -> tuple[ReleaseOptions, ...]:
        """What is shipped: each strategy, and the variants of the canary."""
        canary = strategies.OPTIONS[Strategy.CANARY]
        shipped = (
            *strategies.OPTIONS.values(),
            replace(canary, name="canary-approval", approval=Approval.BEFORE_PROMOTION),
            replace(canary, name="canary-quick", granularity="release", load_test="no"),
            replace(canary, name="canary-load", load_test="beside"),
            replace(canary, name="canary-measured", load_test="judged"),
        )
        return tuple(replace(one, images=self.images, safety=self.safety) for one in shipped)

    def files(self) -> Iterator[tuple[str, str]]:
        """Path below the target and text of every file: the manifests, and what makes kustomizations of their folders."""
        manifests = dict(self._manifests())
        yield from manifests.items()
        for folder in FOLDERS:
            within = [name.removeprefix(f"{folder}/") for name in manifests if name.startswith(f"{folder}/")]
            resources = [name for name in within if not name.startswith(APART) or name == f"rbac/{BACK_END}.yaml"]
            for file, body in zip(
                kustomize.FILES,
                (
                    kustomize.kustomization(resources, configurations=[kustomize.FILES[1]]),
                    kustomize.configuration(folder),
                ),
                strict=True,
            ):
                yield f"{folder}/{file}", dump(body)
        components = {
            prefix + name: rbac.back_end(name, safety)
            for prefix, safety in (("", self.safety), ("tekton-", rbac.tekton(self.safety)))
            for name in rbac.BACK_ENDS
            if name != BACK_END
        }
        for name, objects in components.items():
            yield f"components/{name}/rbac.yaml", dump(*objects)
        for path, body in kustomize.arrangement(components):
            yield f"{path}/{kustomize.FILES[0]}", dump(body)

    def _manifests(self) -> Iterator[tuple[str, str]]:
        for cluster_scope in (False, True):
            options = [replace(release, cluster_scope=cluster_scope) for release in self.releases()]
            folder = "argo/cluster" if cluster_scope else "argo"
            steps = library(self.images, self.safety, cluster_scope=cluster_scope)
            for workflow in (*(strategies.build(one) for one in options), steps):
                yield f"{folder}/{workflow.name}.yaml", dump(ordered(workflow.to_dict()))
        yield "argo/rbac.yaml", dump(*rbac.accounts(self.safety))
        for back_end in rbac.BACK_ENDS:
            yield f"argo/rbac/{back_end}.yaml", dump(*rbac.back_end(back_end, self.safety))
            yield f"tekton/rbac/{back_end}.yaml", dump(*rbac.back_end(back_end, rbac.tekton(self.safety)))
        yield "tekton/rbac.yaml", dump(*rbac.tekton_accounts(self.safety))
        for strategy in strategies.OPTIONS:
            yield f"tekton/pipelines/{strategy}-v{MAJOR}.yaml", dump(tekton_release.pipeline(strategy, self.safety))
        for spec in catalog():
            yield f"tekton/tasks/{spec.name}.yaml", dump(tekton.task(spec, self.images, self.safety))
            yield f"tekton/stepactions/{spec.name}.yaml", dump(tekton.step_action(spec, self.images, self.safety))


FIRST = (
    "apiVersion",
    "kind",
    "name",
    "metadata",
    "description",
    "entrypoint",
    "onExit",
    "template",
    "when",
    "image",
    "command",
    "args",
    "arguments",
)
LAST = (
    "templates",
    "retryStrategy",
    "timeout",
    "serviceAccountName",
    "securityContext",
    "resources",
    "volumeMounts",
    "volumes",
)


def ordered(value: Any) -> Any:
    """The mappings in an order for readers: what a thing is first, what every template carries last."""
    if isinstance(value, list):
        return [ordered(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: ordered(value[key]) for key in sorted(value, key=_rank)}


def _rank(key: str) -> tuple[int, int, str]:
    if key in FIRST:
        return 0, FIRST.index(key), key
    if key in LAST:
        return 2, LAST.index(key), key
    return 1, 0, key


def render(folder: Path, rendering: Rendering | None = None) -> list[Path]:
    """Write all manifests below ``folder`` and remove stale ones; the files that changed, removed ones included."""
    changed = []
    wanted = {folder / name: text for name, text in (rendering or Rendering()).files()}
    try:
        for path in different(folder, wanted):
            changed.append(path)
            if path in wanted:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(wanted[path], encoding="utf-8")
            else:
                path.unlink()
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}", mend="name another --out") from error
    return changed


def stale(folder: Path, rendering: Rendering | None = None) -> list[Path]:
    """The files below ``folder`` that differ from a fresh rendering: changed, missing, or no longer rendered."""
    return different(folder, {folder / name: text for name, text in (rendering or Rendering()).files()})


def different(folder: Path, wanted: Mapping[Path, str]) -> list[Path]:
    changed = {path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text}
    return sorted(changed | (set(_present(folder)) - set(wanted)))


def _present(folder: Path) -> Iterable[Path]:
    for name in (*FOLDERS, *ARRANGED):
        for path in (folder / name).rglob("*.yaml"):
            if path.is_file() and path.read_text(encoding="utf-8").startswith(MARK):
                yield path
