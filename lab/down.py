"""Take the lab away: its pods, processes, mounts, cgroups, namespaces and folders.

What it holds on to is asked of the kernel, not remembered, so a lab that was half built or cut off is removed as well.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from lab import network, processes
from lab.control_plane import DATA
from lab.node import CTR, hierarchies
from lab.places import CGROUP, CONTAINERD, NETNS, STATE, netns_path
from lab.processes import run, wait_until
from lab.progress import LabError
from lab.project_images import RUN, STORE

CNI_RESULTS = Path("/var/lib/cni/results")
FIRST = "kubelet"
"""Else it would start again what is ended."""
ORDER = (
    *("kube-proxy", "containerd", "prometheus"),
    *("kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"),
)


def remains() -> list[str]:
    """Every trace of a lab, in words; empty if there is none."""
    found = [f"process {name}" for name, lives in processes.known().items() if lives]
    found += [f"process {pid} in a pod" for pid in _pod_processes()]
    found += [f"containerd's helper {pid}" for pid in _shims()]
    found += [f"process {pid} in its network" for pid in _inhabitants()]
    found += [f"mount {path}" for path in _mounts()]
    found += [f"cgroup {path}" for path in _cgroups()]
    found += [f"network namespace {NETNS}"] if network.exists() else []
    return found + [str(path) for path in (STATE, DATA) if path.exists()]


def remove() -> None:
    """Raises LabError if something stays, or if it would end ourselves."""
    if os.getpid() in _inhabitants():
        raise LabError("this shell is inside the lab; leave it first")
    processes.end(FIRST)
    _end_containers()
    for name in [*ORDER, *processes.known()]:
        processes.end(name)
    _end_all(_shims)
    _end_all(_inhabitants)
    for path in reversed(_mounts()):
        run("umount", "--lazy", path)
    for path in reversed(_cgroups()):
        wait_until(lambda path=path: _removed(path), 5)  # type: ignore[misc]
    network.remove()
    for folder in (STATE, DATA):
        shutil.rmtree(folder, ignore_errors=True)
    _remove_habits()
    if left := remains():
        raise LabError("these could not be removed: " + "; ".join(left))


def _end_all(found: Callable[[], list[int]]) -> None:
    for pid in found():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not found(), 5)


def _remove_habits() -> None:
    """What a kubelet, CNI and buildah make wherever they are told to work; folders only if nothing of somebody else is in them."""
    logs = Path("/var/log/containers")
    for link in logs.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(STATE):
            link.unlink(missing_ok=True)
    shutil.rmtree(RUN, ignore_errors=True)
    plugins = Path("/var/lib/kubelet/device-plugins")
    for file in ("kubelet_internal_checkpoint", "kubelet.sock"):
        (plugins / file).unlink(missing_ok=True)
    for folder in (plugins, plugins.parent, logs, CNI_RESULTS, CNI_RESULTS.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()


def clear(folder: Path) -> None:
    """Remove a folder of the cache that cannot be read."""
    shutil.rmtree(folder, ignore_errors=True)


def _end_containers() -> None:
    """Kill what runs in pods, then let containerd forget it, and drop the file systems it made for it."""
    _end_all(_pod_processes)
    if not processes.known().get("containerd"):
        return
    for kind, flags in (("tasks", ["--force"]), ("containers", [])):
        listed = subprocess.run(
            [*CTR, kind, "list", "--quiet"], capture_output=True, text=True, check=False, timeout=30
        )
        if names := listed.stdout.split():
            subprocess.run([*CTR, kind, "delete", *flags, *names], capture_output=True, check=False, timeout=120)
        for name in names:
            for result in CNI_RESULTS.glob(f"*-{name}-*"):
                result.unlink(missing_ok=True)


def _pod_processes() -> list[int]:
    found: set[int] = set()
    for folder in _cgroups():
        with contextlib.suppress(OSError):
            found |= {int(pid) for pid in (Path(folder) / "cgroup.procs").read_text(encoding="utf-8").split()}
    return sorted(found)


def _shims() -> list[int]:
    """The helper that containerd starts for each pod; they outlive it, by design, and name its socket."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if b"containerd-shim" in words[0] and str(CONTAINERD).encode() in words:
                    found.append(int(folder.name))
    return found


def _inhabitants() -> list[int]:
    """Whatever else lives in the lab's network namespace, such as a test that was cut off."""
    if not network.exists():
        return []
    own, found = netns_path().stat().st_ino, []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdecimal() and (folder / "ns" / "net").stat().st_ino == own:
                found.append(int(folder.name))
    return found


def _mounts() -> list[str]:
    """Mount points of the lab and of image builds that were cut off, outer ones first."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4].replace("\\040", " ") for line in lines]
    return [path for path in points if any(Path(path).is_relative_to(place) for place in (STATE, STORE))]


def _cgroups() -> list[str]:
    """The lab's cgroups, outer ones first."""
    found: list[str] = []
    for hierarchy in hierarchies():
        for path, _, _ in os.walk(hierarchy / CGROUP):
            found.append(path)
    return found


def _removed(path: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        try:
            Path(path).rmdir()
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                return False
    return True
