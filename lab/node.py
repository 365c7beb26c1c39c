"""The one node: containerd, kubelet and kube-proxy, as processes in the lab's namespace."""

import json
import subprocess
import tomllib
from pathlib import Path

import yaml

from lab.binaries import KUBERNETES
from lab.certificates import PKI
from lab.kubectl import kubectl
from lab.places import (
    CGROUP,
    CLUSTER_DOMAIN,
    CONTAINERD,
    DNS_SERVICE,
    IMAGE_STORE,
    NODE,
    NODE_ADDRESS,
    POD_NETWORK,
    STATE,
)
from lab.processes import await_, run, start

CNI = "/usr/lib/cni"
PAUSE_IMAGE = "fairway.lab/pause:v1"
CGROUPS = Path("/sys/fs/cgroup")
KUBELET = STATE / "kubelet"
CTR = ("ctr", "--address", str(CONTAINERD), "--namespace", "k8s.io")
_CONTAINERD_CONFIG = f"""\
version = 2
root = "{IMAGE_STORE}"
state = "{STATE}/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
address = "{CONTAINERD}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
disable_tcp_service = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI}"
conf_dir = "{STATE}/cni"
"""


def begin_containerd() -> None:
    """Start containerd and wait until it answers. Images of earlier labs are still there."""
    tomllib.loads(_CONTAINERD_CONFIG)
    config = STATE / "containerd.toml"
    config.write_text(_CONTAINERD_CONFIG, encoding="utf-8")
    cni = STATE / "cni"
    cni.mkdir(exist_ok=True)
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": POD_NETWORK}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(STATE / "addresses"),
        },
    }
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    conflist = {"cniVersion": "0.4.0", "name": "lab", "plugins": plugins}
    (cni / "10-lab.conflist").write_text(json.dumps(conflist), encoding="utf-8")
    start("containerd", ["containerd", "--config", str(config), "--log-level", "warn"])
    await_("containerd", lambda: _answers("version"))


def _answers(*command: str) -> bool:
    return subprocess.run([*CTR, *command], capture_output=True, check=False).returncode == 0


def begin() -> None:
    """Start kubelet and kube-proxy; neither is waited for here."""
    for hierarchy in hierarchies():
        (hierarchy / CGROUP).mkdir(exist_ok=True)
    _inherit_cpuset()
    _weigh()
    KUBELET.mkdir(exist_ok=True)
    (STATE / "resolv.conf").write_text("", encoding="utf-8")
    config = _kubelet_config()
    path = STATE / "kubelet.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    start(
        "kubelet",
        [
            *(str(KUBERNETES.program("kubelet")), f"--config={path}", f"--kubeconfig={STATE}/kubelet.kubeconfig"),
            *(f"--root-dir={KUBELET}", f"--hostname-override={NODE}", f"--node-ip={NODE_ADDRESS}"),
        ],
    )
    start(
        "kube-proxy",
        [
            *(str(KUBERNETES.program("kube-proxy")), f"--kubeconfig={STATE}/kube-proxy.kubeconfig"),
            *("--proxy-mode=iptables", f"--cluster-cidr={POD_NETWORK}", f"--hostname-override={NODE}"),
            *("--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s"),
            *("--conntrack-tcp-timeout-close-wait=0s", "--iptables-min-sync-period=200ms"),
        ],
    )


def registered() -> bool:
    """Whether the kubelet has told the API server of itself."""
    return f"node/{NODE}" in kubectl("get", "nodes", "--output=name")


def hierarchies() -> list[Path]:
    """The folders under which cgroups are made: one a controller with cgroup v1, else one for all."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in sorted(CGROUPS.iterdir()) if path.is_dir() and not path.is_symlink()]


def _inherit_cpuset() -> None:
    """With cgroup v1 a new cpuset is empty, and holds no process, until it is told its processors and memory."""
    cpuset = CGROUPS / "cpuset"
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (cpuset / CGROUP / name).exists():
            (cpuset / CGROUP / name).write_text((cpuset / name).read_text(encoding="utf-8"), encoding="utf-8")


def _weigh() -> None:
    """Give all pods together the weight of twenty processes, not of one: else whatever else the machine does starves them."""
    for hierarchy in hierarchies():
        for name, weight in (("cpu.shares", 20 * 1024), ("cpu.weight", 20 * 100)):
            if (path := hierarchy / CGROUP / name).exists():
                path.write_text(str(weight), encoding="utf-8")


def _kubelet_config() -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(PKI / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(PKI / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(PKI / "kubelet-server.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(STATE / "resolv.conf"),
        "address": NODE_ADDRESS,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failCgroupV1": False,
        "volumePluginDir": str(STATE / "volume-plugins"),
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "podLogsDir": str(STATE / "pod-logs"),
        "maxPods": 200,
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "kubeAPIQPS": 50,
        "kubeAPIBurst": 100,
        "syncFrequency": "10s",
        "enableControllerAttachDetach": False,
        "shutdownGracePeriod": "0s",
        "containerLogMaxSize": "20Mi",
    }


def kernel_ready() -> None:
    """Load what bridges and containers need, where these are modules; what is built in is there already."""
    for module in ("br_netfilter", "overlay"):
        run("sh", "-c", f"modprobe {module} 2>/dev/null || true")
