"""Which cluster: the pod's own, or the one of a kubeconfig."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fairway_steps.clock import Clock
from fairway_steps.errors import UsageError

if TYPE_CHECKING:
    from fairway_steps.cluster.kube import KubernetesCluster

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
MEND = "run it in a pod with a service account, or set KUBECONFIG"


def connect(environment: Mapping[str, str], clock: Clock, *, account: Path = ACCOUNT) -> "KubernetesCluster":
    """The cluster that KUBECONFIG names, else the pod's own, else the one of ``~/.kube/config``.

    Imports the client (0.6 s), so call it only when a cluster is needed. Raises UsageError if there is none.
    """
    if not environment.get("KUBECONFIG") and _in_cluster(environment, account):
        return _own(environment, clock, account)
    return _configured(environment, clock)


def own_namespace(environment: Mapping[str, str], *, account: Path = ACCOUNT) -> str:
    """The namespace of this pod; empty outside one."""
    return _namespace(account) if _in_cluster(environment, account) else ""


def _in_cluster(environment: Mapping[str, str], account: Path) -> bool:
    return bool(environment.get("KUBERNETES_SERVICE_HOST")) and (account / "token").is_file()


def _namespace(account: Path) -> str:
    try:
        return (account / "namespace").read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"


def _own(environment: Mapping[str, str], clock: Clock, account: Path) -> "KubernetesCluster":
    from kubernetes.client import Configuration  # noqa: PLC0415 - 0.6 s
    from kubernetes.config import ConfigException  # noqa: PLC0415
    from kubernetes.config.incluster_config import InClusterConfigLoader  # noqa: PLC0415

    from fairway_steps.cluster.kube import KubernetesCluster  # noqa: PLC0415

    configuration = Configuration()
    try:
        loader = InClusterConfigLoader(str(account / "token"), str(account / "ca.crt"), environ=dict(environment))
        loader.load_and_set(configuration)
    except (ConfigException, OSError) as error:
        raise UsageError(f"the pod's service account cannot be used: {error}", mend=MEND) from error
    return KubernetesCluster(configuration, _namespace(account), clock)


def _configured(environment: Mapping[str, str], clock: Clock) -> "KubernetesCluster":
    from kubernetes.client import Configuration  # noqa: PLC0415 - 0.6 s
    from kubernetes.config import ConfigException, list_kube_config_contexts, load_kube_config  # noqa: PLC0415
    from yaml import YAMLError  # noqa: PLC0415

    from fairway_steps.cluster.kube import KubernetesCluster  # noqa: PLC0415

    path = environment.get("KUBECONFIG") or str(Path(environment.get("HOME", "~")) / ".kube" / "config")
    configuration = Configuration()
    try:
        load_kube_config(config_file=path, client_configuration=configuration)
        _, active = list_kube_config_contexts(config_file=path)
    except (ConfigException, YAMLError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"there is no cluster to work on: {path} cannot be used ({error})", mend=MEND) from error
    return KubernetesCluster(configuration, active["context"].get("namespace") or "default", clock)
