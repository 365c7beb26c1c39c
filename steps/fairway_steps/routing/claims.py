"""Who else claims a route: the GitOps tool that keeps it as git has it, and who wrote our part of it last. Pure.

Argo CD marks what it keeps by an annotation or a label (https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/),
Flux by labels; field managers are what managedFields say
(https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairway_steps.cluster import FIELD_MANAGER, Manifest, Reference

TRACKING = "argocd.argoproj.io/tracking-id"
INSTANCE = "argocd.argoproj.io/instance"
ARGO_CD = ("argocd-controller", "argocd-application-controller")
FLUX = {"kustomize": "Kustomization", "helm": "HelmRelease"}


@dataclass(frozen=True, slots=True)
class Claims:
    """``owner`` is the tool that keeps the route (empty: none is known), ``rule`` what makes it leave the split alone, as YAML.

    ``writer`` is the field manager that wrote our part last, if that was not Fairway.
    """

    owner: str = ""
    rule: str = ""
    writer: str = ""

    @property
    def who(self) -> str:
        """Who wrote our part last, as a sentence names it."""
        return (self.writer or "somebody") + (f" ({self.owner})" if self.owner else "")

    @property
    def mend(self) -> str:
        """What to do about it."""
        if self.rule:
            return f"let it leave the split alone:\n{self.rule}"
        return f"find out what {self.writer} does" if self.writer else "find out what else writes this route"


NOBODY = Claims()


def claims(ref: Reference, found: Manifest, *path: str, beside: Sequence[Reference] = ()) -> Claims:
    """Who claims the object; ``path`` leads to our part of it, such as ``spec``, ``rules``, and of those ``beside`` it that the rule is for, too."""
    metadata, pointer = found["metadata"], "/" + "/".join(path)
    labels, notes = metadata.get("labels") or {}, metadata.get("annotations") or {}
    managers = {str(one.get("manager", "")) for one in metadata.get("managedFields") or ()}
    writer = _writer(metadata.get("managedFields") or (), path)
    if TRACKING in notes or INSTANCE in labels or managers & set(ARGO_CD):
        app = str(notes.get(TRACKING, "")).partition(":")[0] or str(labels.get(INSTANCE, ""))
        return Claims(f"Argo CD (Application {app})" if app else "Argo CD", _argo_cd([ref, *beside], pointer), writer)
    for tool, kind in FLUX.items():
        name = labels.get(f"{tool}.toolkit.fluxcd.io/name", "")
        if name or f"{tool}-controller" in managers:
            at = f" ({kind} {labels.get(f'{tool}.toolkit.fluxcd.io/namespace', '?')}/{name})" if name else ""
            return Claims(f"Flux{at}", _flux([ref, *beside], pointer, tool), writer)
    return Claims(writer=writer)


def _argo_cd(refs: Sequence[Reference], pointer: str) -> str:
    lines = [
        "# in the Application",
        "spec:",
        "  ignoreDifferences:",
        *(
            line
            for ref in refs
            for line in (
                f"    - group: {ref.group}",
                f"      kind: {ref.kind}",
                f"      namespace: {ref.namespace}",
                f"      name: {ref.name}",
                "      jsonPointers:",
                f"        - {pointer}",
            )
        ),
        "  syncPolicy:",
        "    syncOptions:",
        "      - RespectIgnoreDifferences=true",
    ]
    return "\n".join(lines)


def _flux(refs: Sequence[Reference], pointer: str, tool: str) -> str:
    target = [
        line
        for ref in refs
        for line in (
            f"- paths: [{pointer}]",
            "  target:",
            f"    group: {ref.group}",
            f"    kind: {ref.kind}",
            f"    namespace: {ref.namespace}",
            f"    name: {ref.name}",
        )
    ]
    if tool == "helm":
        return "\n".join(
            ["# in the HelmRelease", "spec:", "  driftDetection:", "    ignore:", *(f"      {line}" for line in target)]
        )
    older = (
        "# where Flux does not know spec.ignore yet: annotate the route kustomize.toolkit.fluxcd.io/ssa: IfNotPresent"
    )
    return "\n".join(["# in the Kustomization", "spec:", "  ignore:", *(f"    {line}" for line in target), older])


def _writer(managed: Sequence[Mapping[str, Any]], path: tuple[str, ...]) -> str:
    """The latest of the other managers that own our part, or something in it."""
    others = [
        one
        for one in managed
        if one.get("manager") != FIELD_MANAGER and not one.get("subresource") and _owns(one.get("fieldsV1") or {}, path)
    ]
    ours = max((str(one.get("time", "")) for one in managed if one.get("manager") == FIELD_MANAGER), default="")
    last = max(others, key=lambda one: str(one.get("time", "")), default=None)
    return str(last["manager"]) if last and str(last.get("time", "")) >= ours else ""


def _owns(fields: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    for name in path:
        if f"f:{name}" not in fields:
            return False
        fields = fields[f"f:{name}"]
    return True
