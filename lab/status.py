"""What of the lab runs, and what does not."""

import subprocess

from lab import down, processes, up
from lab.addons import argo, envoy_gateway, kserve, tekton
from lab.kubectl import kubectl
from lab.places import KUBECONFIG
from lab.progress import LabError

LAB = {"kube-system", *(addon.NAMESPACE for addon in (argo, envoy_gateway, kserve, tekton))}
"""Whose Deployments are the lab's own; Prometheus is a process."""


def status() -> int:
    """Tell on stdout; 0 if everything is up, 1 if there is a lab and something is not, 3 if there is none."""
    known = processes.known()
    if not known:
        left = down.remains()
        print(
            "there is no lab; `make lab` brings one up"
            + (f"; an earlier one left {len(left)} things behind" if left else "")
        )
        return 3
    for name, lives in known.items():
        print(f"  {name:<28}{'up' if lives else 'DOWN'}")
    waiting = True
    try:
        columns = "NAMESPACE:.metadata.namespace,NAME:.metadata.name,WANTED:.spec.replicas,READY:.status.readyReplicas"
        table = kubectl("get", "deployments", "--all-namespaces", f"--output=custom-columns={columns}", timeout=15)
        print(table)
        rows = [line.split() for line in table.splitlines()[1:]]
        waiting = bool(LAB - {row[0] for row in rows}) or any(not _complete(*row) for row in rows)
    except (LabError, subprocess.TimeoutExpired) as error:
        print(f"the API server does not answer: {error}")
    if not (whole := up.whole()):
        print("it is not complete, or made from other pins: `make lab` mends that")
    else:
        print("it is up, and not all of it is ready" if waiting else "it is ready")
    print(f"KUBECONFIG={KUBECONFIG}, inside the network namespace: `make lab-shell`")
    return 0 if whole and not waiting else 1


def _complete(namespace: str, _: str, wanted: str, ready: str) -> bool:
    """Whether a Deployment has what it is to have; those of releases are not the lab's."""
    return namespace not in LAB or wanted in ("0", ready)
