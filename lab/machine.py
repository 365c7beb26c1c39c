"""Can this machine hold a lab? Asked before anything is started; what is missing is said at once, with a way out."""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lab import binaries
from lab.node import CNI
from lab.places import CACHE
from lab.processes import run
from lab.progress import LabError, part

ELSEWHERE = """\
To run the end-to-end tests on a cluster of your own instead (kind, k3d, or any other, with Argo Workflows, a Gateway API
implementation and Prometheus), name it:  make e2e KUBECONFIG=$HOME/.kube/config   (docs/lab.md says what it must hold)"""

PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "nsenter": "util-linux",
    "ip": "iproute2",
    "curl": "curl",
    "mount": "mount",
}
"""What the lab runs: program → Debian's package."""
COLD_GIB, WARM_GIB = 30, 5
OLDEST_GO = (1, 21)
"""From here on Go fetches the toolchain that a module asks for, from the module proxy."""


def check() -> None:
    """Raises LabError, which says all that is missing."""
    wants = kind()
    if Path("/var/lib/kubelet/config.yaml").exists():
        wants.append("to be no node of a cluster already: there is /var/lib/kubelet/config.yaml")
    if not wants:
        wants += _go() + _disk()
    if not wants and (packages := missing_packages()) and shutil.which("apt-get") is None:
        wants.append(f"these, which Debian has as packages: {', '.join(packages)}")
    refuse(wants)


def kind() -> list[str]:
    """What no installation mends: another system, another processor, another user."""
    wants = []
    if sys.platform != "linux":
        wants.append("Linux: the lab is made of its namespaces and cgroups")
    elif platform.machine() != "x86_64":
        wants.append(f"an x86-64 processor, for the programs that the registries hold; this is {platform.machine()}")
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        wants.append("root: it makes network namespaces, mounts and cgroups; run it as `sudo make lab`, or in a VM")
    return wants


def refuse(wants: list[str]) -> None:
    """Raises LabError if there are any."""
    if wants:
        raise LabError(
            "this machine cannot hold the lab. It needs\n" + "\n".join(f"- {want}" for want in wants) + f"\n{ELSEWHERE}"
        )


def missing_packages() -> list[str]:
    found = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    if not Path(CNI, "bridge").exists():
        found.add("containernetworking-plugins")
    return sorted(found)


def install_packages() -> None:
    """Install what Debian has, and start none of its services: a policy in their way is put back as it was."""
    packages = missing_packages()
    if not packages:
        return
    with part(f"Debian packages: {', '.join(packages)}"):
        policy = Path("/usr/sbin/policy-rc.d")
        ours = not policy.exists()
        if ours:
            policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
            policy.chmod(0o755)
        try:
            quiet = {"DEBIAN_FRONTEND": "noninteractive"}
            run("apt-get", "update", "--quiet", env=quiet)
            run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages, env=quiet, timeout=1200)
        finally:
            if ours:
                policy.unlink()
    if left := missing_packages():
        raise LabError(f"apt-get installed them, and still there is no program of {', '.join(left)}")


def _go() -> list[str]:
    if not binaries.missing():
        return []
    go = shutil.which("go")
    if go is None:
        return ["Go 1.21 or newer, to build Kubernetes and the rest; see https://go.dev/doc/install"]
    told = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"go(\d+)\.(\d+)", told)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GO:
        return [f"Go 1.21 or newer; this is {told.strip() or 'unknown'}; see https://go.dev/doc/install"]
    return []


def _disk() -> list[str]:
    CACHE.mkdir(parents=True, exist_ok=True)
    need = COLD_GIB if binaries.missing() else WARM_GIB
    free = shutil.disk_usage(CACHE).free / 2**30
    if free >= need:
        return []
    return [f"{need} GiB of free disk under {CACHE}, most of it only while building; there are {free:.1f}"]
