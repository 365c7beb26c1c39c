"""Where the lab keeps things, and what it calls them. Addresses are those of documentation and benchmarks (RFC 5737, RFC 2544)."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""
EXAMPLES = ROOT / "examples" / "cluster"
"""What any cluster needs for releases and their tests, the lab, too."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairway" / "lab"
"""What survives `make lab-down`: binaries, install manifests and images, by version."""
STATE = Path("/var/lib/fairway-lab")
"""What does not: certificates, logs, pids, and the node's own folders."""
LOCK = Path("/run/lock/fairway-lab")
NETNS = "lab"
KUBECONFIG = STATE / "kubeconfig"
CGROUP = "fairway-lab"
CONTAINERD = STATE / "containerd.sock"
IMAGE_STORE = CACHE / "containerd"

RELEASES = "models"
"""The namespace where releases run; requests of its accounts are in the audit log."""
AUDIT = STATE / "logs" / "audit.log"

NODE = "lab"
NODE_ADDRESS = "198.51.100.1"
NODE_NETWORK = f"{NODE_ADDRESS}/24"
POD_NETWORK = "198.18.0.0/16"
SERVICE_NETWORK = "198.19.0.0/16"
API_SERVICE = "198.19.0.1"
DNS_SERVICE = "198.19.0.10"
CLUSTER_DOMAIN = "cluster.local"
API = f"https://{NODE_ADDRESS}:6443"


def netns_path() -> Path:
    return Path("/run/netns") / NETNS
