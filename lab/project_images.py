"""The project's own images, built by buildah from `containers/Containerfile` on a base made of Debian packages."""

import hashlib
import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from lab.images import load, remembered
from lab.places import CACHE, ROOT
from lab.processes import run
from lab.progress import part

KINDS = ("core", "assess", "loadtest", "model-server")
BASE = "localhost/fairway-lab-base:bookworm"
PACKAGES = "python3,python3-venv,ca-certificates"
STORE = CACHE / "buildah"
PIP_CONFIG = CACHE / "pip.conf"
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def name_of(kind: str) -> str:
    """As the rendered manifests call it, in the full form that the node keeps."""
    return f"docker.io/library/fairway-{kind}:{metadata.version('fairway')}"


def bring() -> None:
    """Build and import what has changed since the node got it."""
    if all(remembered(name_of(kind)) == digest(kind) for kind in KINDS):
        return
    _base()
    PIP_CONFIG.write_text(f"[global]\ncert = {BUNDLE}\n", encoding="utf-8")
    for kind in KINDS:
        if remembered(name_of(kind)) != digest(kind):
            with part(f"image fairway-{kind}"):
                _build(kind)


def digest(kind: str) -> str:
    """What the image depends on: every file that its Containerfile copies, and the Containerfile itself."""
    sum_ = hashlib.sha256(f"{BASE} {PACKAGES}".encode())
    for path in _sources(kind):
        sum_.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return sum_.hexdigest()


def _sources(kind: str) -> Iterator[Path]:
    yield ROOT / "containers" / "Containerfile"
    yield from (ROOT / name for name in ("pyproject.toml", "README.md", "CHANGELOG.md"))
    yield from (ROOT / "requirements" / f"{name}.txt" for name in (kind, "build"))
    for folder in ("steps", "workflows"):
        yield from sorted(path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc")


def _base() -> None:
    if BASE in _buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
        return
    with part("base image of Debian packages", "about 1 min, once"):
        archive = CACHE / "base.tar"
        run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(archive), timeout=1200)
        container = _buildah("from", "scratch").strip()
        _buildah("add", container, str(archive), "/")
        _buildah("commit", "--rm", container, BASE)
        archive.unlink()


def _build(kind: str) -> None:
    tag, archive = name_of(kind), CACHE / f"image-{kind}.tar"
    _buildah(
        *("bud", "--layers", "--network", "host", "--build-arg", f"BASE={BASE}", "--build-arg", f"IMAGE={kind}"),
        *("--volume", "/etc/ssl/certs:/etc/ssl/certs:ro", "--volume", f"{PIP_CONFIG}:/etc/pip.conf:ro"),
        *("--tag", tag, "--file", str(ROOT / "containers" / "Containerfile"), str(ROOT)),
    )
    archive.unlink(missing_ok=True)
    _buildah("push", "--quiet", tag, f"docker-archive:{archive}:{tag}")
    load(archive, tag, digest(kind))


def _buildah(*command: str) -> str:
    STORE.mkdir(parents=True, exist_ok=True)
    store = ("--root", str(STORE), "--runroot", "/run/fairway-lab-buildah", "--storage-driver", "overlay")
    env = {"BUILDAH_ISOLATION": "chroot", "TMPDIR": os.environ.get("TMPDIR", "/var/tmp")}  # noqa: S108 - buildah's own default
    return run("buildah", *store, *command, env=env, timeout=2400)
