"""Bring the lab up: what is there already is left, what is stale is cleared away, what is missing is made."""

import fcntl
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from lab import binaries, certificates, control_plane, down, machine, network, node, processes, project, project_images
from lab.addons import argo, coredns, envoy_gateway, istio, kserve, prometheus, tekton
from lab.images import StaticImage
from lab.kubectl import await_condition
from lab.places import CACHE, EXAMPLES, IMAGE_STORE, LOCK, NETNS, NODE, ROOT, STATE
from lab.progress import LabError, part, say

ADDONS: tuple[ModuleType, ...] = (coredns, prometheus, envoy_gateway, argo, tekton, kserve)
MORE: dict[str, ModuleType] = {"istio": istio}
"""What is added on request. No test takes it for granted, and its programs are built only then (``NEEDS``)."""
READY = STATE / "ready.json"
"""Written last. Holds what the lab and the project in it were made from."""


@contextmanager
def alone() -> Iterator[None]:
    """Raises LabError if another `make lab` or `make lab-down` is at work."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError("another `make lab` or `make lab-down` is at work on this machine; wait for it") from None
        yield


def up() -> None:
    """From whatever state to a lab that is ready. A second call finds nothing to do."""
    began = time.monotonic()
    if whole():
        if current():
            say(f"the lab is up; {HOW}")
            return
        say("the lab is up; the project has changed since")
        with project_images.coming() as images:
            _project(images)
    else:
        machine.check()
        if left := down.remains():
            say(f"removing what an earlier lab left: {left[0]}" + (f", and {len(left) - 1} more" if left[1:] else ""))
            down.remove()
        _whole()
    say(f"the lab is ready after {time.monotonic() - began:.0f} s; {HOW}")


def add(name: str) -> None:
    """One of ``MORE``, to a lab that is up; again, it is brought up to date."""
    addon = MORE[name]
    binaries.make_all(addon.NEEDS)
    with part(f"images of {name}"):
        for image in addon.images():
            image.bring()
    with part(f"install {name}"):
        addon.install()
    with part(f"{name} is ready"):
        addon.ready()


HOW = "`make lab-shell` has kubectl and argo, `make e2e` runs the tests, `make lab-down` removes it"


def whole() -> bool:
    """Whether a lab that was made from these files is there, and all of its processes live."""
    known = processes.known()
    return told_ready().get("lab") == lab_digest() and bool(known) and all(known.values())


def current() -> bool:
    """Whether the lab holds what these files say, images and manifests of the project included."""
    return told_ready() == {"lab": lab_digest(), "project": project.digest()}


def told_ready() -> dict[str, str]:
    try:
        told: dict[str, str] = json.loads(READY.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told


def _whole() -> None:
    machine.install_packages()
    binaries.make_all()
    STATE.mkdir(mode=0o700)
    CACHE.mkdir(parents=True, exist_ok=True)
    with part(f"network namespace {NETNS}"):
        network.make()
    with part("certificates"):
        certificates.make()
    with part("containerd"):
        _containerd()
    with part("images of the cluster's programs"):
        for image in static_images():
            image.bring()
    with project_images.coming() as images:
        with part("etcd and control plane"):
            control_plane.begin()
        with part("node"):
            node.begin()
            processes.await_("kubelet", node.registered)
            await_condition("Ready", f"node/{NODE}")
        for addon in ADDONS:
            with part(f"install {_name(addon)}"):
                addon.install()
        for addon in ADDONS:
            with part(f"{_name(addon)} is ready"):
                addon.ready()
        _project(images)


def _project(images: Callable[[], None]) -> None:
    """The project's images and manifests; all that changes with its code."""
    READY.unlink(missing_ok=True)
    images()
    with part("manifests of the project"):
        project.install()
    READY.write_text(json.dumps({"lab": lab_digest(), "project": project.digest()}), encoding="utf-8")


def _containerd() -> None:
    """Start it on the images of earlier labs; if it cannot read them, they are made anew."""
    try:
        node.begin_containerd()
    except LabError:
        processes.end("containerd")
        down.clear(IMAGE_STORE)
        node.begin_containerd()


def static_images() -> list[StaticImage]:
    pause = StaticImage(node.PAUSE_IMAGE, {"/bin/pause": binaries.PAUSE.program("pause")}, ("pause",))
    return [pause, *(image for addon in ADDONS for image in addon.images())]


def lab_digest() -> str:
    """What the lab is made from: its own code and its pins."""
    sum_ = hashlib.sha256()
    for path in sorted(_code()):
        sum_.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return sum_.hexdigest()


def _code() -> Iterator[Path]:
    folder = ROOT / "lab"
    requested = {Path(str(addon.__file__)) for addon in MORE.values()}
    yield from (path for path in folder.rglob("*.py") if path not in requested)
    yield from EXAMPLES.glob("*.yaml")
    yield from (folder / "go").rglob("go.*")
    yield ROOT / "requirements" / "dev.txt"  # Envoy and others come as Python packages


def _name(addon: ModuleType) -> str:
    return addon.__name__.rpartition(".")[2].replace("_", " ")
