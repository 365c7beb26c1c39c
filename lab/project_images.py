"""The project's own images, built by buildah from `containers/Containerfile` on a base made of Debian packages."""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from lab.images import load, remembered
from lab.places import CACHE, ROOT
from lab.processes import run
from lab.progress import part

KINDS = ("core", "assess", "loadtest", "model-server")
PACKAGES = "python3,python3-venv,ca-certificates"
BASE = f"localhost/fairway-lab-base:{hashlib.sha256(PACKAGES.encode()).hexdigest()[:12]}"
STORE = CACHE / "buildah"
RUN = Path("/run/fairway-lab-buildah")
PIP_CONFIG = CACHE / "pip.conf"
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def name_of(kind: str) -> str:
    """As the rendered manifests call it, in the full form that the node keeps."""
    return f"docker.io/library/fairway-{kind}:{metadata.version('fairway')}"


@contextmanager
def coming() -> Iterator[Callable[[], None]]:
    """Build and import what has changed since the node got it, beside whatever else is done; what is yielded waits for it.

    The first is built alone: it makes the layer of the project's code that all others share.
    """
    first, *others = [kind for kind in KINDS if remembered(name_of(kind)) != digest(kind)] or [""]
    if not first:
        yield lambda: None
        return
    _base()
    PIP_CONFIG.write_text(f"[global]\ncert = {BUNDLE}\n", encoding="utf-8")
    with ThreadPoolExecutor(2) as pool:
        made = {first: pool.submit(_bring, first)}
        made |= {kind: pool.submit(_bring, kind, made[first]) for kind in others}

        def wait() -> None:
            for kind, one in made.items():
                with part(f"image fairway-{kind}"):
                    one.result()

        try:
            yield wait
        finally:
            pool.shutdown(cancel_futures=True)


def digest(kind: str) -> str:
    """What the image depends on: every file that its Containerfile copies, and the Containerfile itself."""
    sum_ = hashlib.sha256(BASE.encode())
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


def _bring(kind: str, after: Future[None] | None = None) -> None:
    if after is not None:
        after.result()
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
    store = ("--root", str(STORE), "--runroot", str(RUN), "--storage-driver", "overlay")
    env = {"BUILDAH_ISOLATION": "chroot", "TMPDIR": os.environ.get("TMPDIR", "/var/tmp")}  # noqa: S108 - buildah's own default
    return run("buildah", *store, *command, env=env, timeout=2400)
