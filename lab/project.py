"""The project in the lab: its rendered manifests, applied to the namespace where releases run."""

import hashlib

from lab import project_images
from lab.kubectl import Objects, apply, kubectl, namespace, read
from lab.places import RELEASES, ROOT

FOLDERS = ("manifests/argo", "manifests/argo/rbac")


def install() -> None:
    apply([namespace(RELEASES)])
    kubectl("config", "set-context", "--current", f"--namespace={RELEASES}")
    apply(_objects())


def digest() -> str:
    """Of all images, and of all manifests."""
    sum_ = hashlib.sha256("".join(project_images.digest(kind) for kind in project_images.KINDS).encode())
    for path in sorted((ROOT / "manifests").rglob("*.yaml")):
        sum_.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return sum_.hexdigest()


def _objects() -> Objects:
    found = read(*(ROOT / folder for folder in FOLDERS))
    objects = [each for each in found if "metadata" in each]  # a folder's kustomization has none
    for each in objects:
        each["metadata"].setdefault("namespace", RELEASES)
    return objects
