"""CoreDNS: names of services within the cluster, and of nothing outside it."""

from lab.binaries import COREDNS
from lab.images import StaticImage
from lab.kubectl import Objects, account, apply, await_rollout
from lab.places import CLUSTER_DOMAIN, DNS_SERVICE

IMAGE = f"fairway.lab/coredns:{COREDNS.version}"
_CONFIG = f"""\
.:5353 {{
    errors
    health :8080
    ready :8181
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        pods insecure
        ttl 5
    }}
    loop
    reload
}}
"""


def images() -> list[StaticImage]:
    return [StaticImage(IMAGE, {"/bin/coredns": COREDNS.program("coredns")}, ("coredns",))]


def install() -> None:
    apply(_objects())


def ready() -> None:
    await_rollout("kube-system", "deployment/coredns")


def _objects() -> Objects:
    labels = {"k8s-app": "kube-dns"}
    ports = [
        {"name": f"dns-{proto.lower()}", "protocol": proto, "port": 53, "targetPort": 5353} for proto in ("UDP", "TCP")
    ]
    about = {"name": "coredns", "namespace": "kube-system"}
    pod = {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "priorityClassName": "system-cluster-critical",
        "containers": [
            {
                "name": "coredns",
                "image": IMAGE,
                "imagePullPolicy": "Never",
                "args": ["-conf", "/config/Corefile"],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
                "volumeMounts": [{"name": "config", "mountPath": "/config"}],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    return [
        *account("coredns", "kube-system", "system:coredns"),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["endpoints", "services", "pods", "namespaces"],
                    "verbs": ["list", "watch"],
                },
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            ],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {"Corefile": _CONFIG}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
            "spec": {"clusterIP": DNS_SERVICE, "selector": labels, "ports": ports},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": about,
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]
