"""The rights of the pods of a release: two service accounts for Argo, one for Tekton, and one role for each back end of routes.

``fairway-reporter`` may only hand outputs to Argo (load tests, notices). ``fairway-releaser`` may besides keep the record
and look at workloads; what it may do to routes depends on the back end, so those rights stand in files of their own, to
be applied as needed. Source: https://argo-workflows.readthedocs.io/en/release-3.7/workflow-rbac/.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fairway_workflows.safety import Safety

Rule = dict[str, list[str]]


def rule(group: str, resources: str, verbs: str) -> Rule:
    """One rule of a Role; several resources or verbs are separated by blanks."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


OUTPUTS = rule("argoproj.io", "workflowtaskresults", "create patch")
RECORD = rule("", "configmaps", "get create patch")
WORKLOADS = [
    rule("apps", "deployments", "get list watch patch"),
    rule("", "services", "get list watch patch"),
    rule("", "pods", "list watch"),
    rule("discovery.k8s.io", "endpointslices", "list watch"),
    rule("autoscaling", "horizontalpodautoscalers", "list"),
    rule("keda.sh", "scaledobjects", "get"),
]
"""Versions: what is deployed is looked at, scaled and copied; why pods do not run, which endpoints are ready, and what shrinks them, is read."""
REVISIONS = rule("serving.knative.dev", "revisions", "get list watch patch")
"""Versions of Knative's and of KServe's mode Knative; the patch is the finalizer that keeps one with traffic."""
EVENTS = rule("", "events", "create patch")
BACK_ENDS: Mapping[str, Sequence[Rule]] = {
    "gateway-api": [
        rule("gateway.networking.k8s.io", "httproutes grpcroutes", "get patch"),
        rule("gateway.networking.k8s.io", "gateways", "get"),
        rule("gateway.networking.k8s.io", "referencegrants", "list"),
    ],
    "istio": [
        rule("networking.istio.io", "virtualservices", "get patch"),
        rule("networking.istio.io", "destinationrules", "list"),
    ],
    "kserve": [
        rule("serving.kserve.io", "inferenceservices llminferenceservices", "get list watch patch"),
        rule("serving.knative.dev", "services", "get patch"),
        REVISIONS,
    ],
    "knative": [rule("serving.knative.dev", "services", "get patch"), REVISIONS],
    "deletion": [
        rule("apps", "deployments", "delete"),
        rule("", "services", "delete"),
        rule("serving.kserve.io", "inferenceservices llminferenceservices", "delete"),
    ],
}
"""What a release writes in each back end; ``deletion`` is for releases that delete versions instead of scaling them down."""


def accounts(safety: Safety) -> list[dict[str, Any]]:
    """The service accounts and what every release needs."""
    return [
        _account(safety.releaser, safety),
        _account(safety.reporter, safety),
        *_granted(safety.releaser, [OUTPUTS, RECORD, *WORKLOADS, EVENTS], [safety.releaser], safety),
        *_granted(safety.reporter, [OUTPUTS], [safety.reporter], safety),
    ]


def tekton(safety: Safety) -> Safety:
    """The same with the account of Tekton's runs, which is one of its own: pods of Argo have a right that it needs not."""
    return replace(safety, releaser="fairway-tekton")


def tekton_accounts(safety: Safety) -> list[dict[str, Any]]:
    """The service account of Tekton's runs. To Tekton, pods hand over results without any right."""
    name = tekton(safety).releaser
    return [_account(name, safety), *_granted(name, [RECORD, *WORKLOADS, EVENTS], [name], safety)]


def back_end(name: str, safety: Safety) -> list[dict[str, Any]]:
    """What a release through one back end needs besides. Raises KeyError for one that is not known."""
    return _granted(f"{safety.releaser}-{name}", BACK_ENDS[name], [safety.releaser], safety)


def _account(name: str, safety: Safety) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "labels": safety.labels(name)}}


def _granted(name: str, rules: Sequence[Rule], accounts: Sequence[str], safety: Safety) -> list[dict[str, Any]]:
    api, metadata = "rbac.authorization.k8s.io", {"name": name, "labels": safety.labels(name)}
    return [
        {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": [dict(rule) for rule in rules]},
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": account} for account in accounts],
        },
    ]
