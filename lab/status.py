"""What of the lab runs, and what does not."""

from lab import down, processes, up
from lab.kubectl import kubectl
from lab.places import KUBECONFIG
from lab.progress import LabError


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
    told = up.told_ready()
    try:
        columns = "NAMESPACE:.metadata.namespace,NAME:.metadata.name,WANTED:.spec.replicas,READY:.status.readyReplicas"
        print(kubectl("get", "deployments", "--all-namespaces", f"--output=custom-columns={columns}", timeout=15))
    except LabError as error:
        print(error)
    current = bool(told) and told["lab"] == up.lab_digest()
    print("it is ready" if current else "it is not complete, or made from other pins: `make lab` mends that")
    print(f"KUBECONFIG={KUBECONFIG}, inside the network namespace: `make lab-shell`")
    return 0 if current and all(known.values()) else 1
