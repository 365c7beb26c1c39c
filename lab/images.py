"""Images without a registry: of static programs, written by hand; the project's own, built from `containers/` by buildah.

All are imported into the node's containerd, whose store outlives the lab. What an image was made from is remembered in
the store, so that nothing is built or imported twice.
"""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.node import CTR
from lab.places import CACHE, IMAGE_STORE
from lab.processes import run
from lab.progress import LabError

REMEMBERED = IMAGE_STORE / "fairway-images.json"
LOADING = threading.Lock()
"""Of two imports at once that share layers, one may miss a snapshot that the other is about to make."""
NON_ROOT = "65532:65532"


@dataclass(frozen=True, slots=True)
class StaticImage:
    """An image of programs that need nothing else. ``files`` maps paths in the image to files or text."""

    name: str
    files: Mapping[str, Path | str]
    entrypoint: tuple[str, ...] = ()
    user: str = NON_ROOT
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        told = [self.name, self.entrypoint, self.user, sorted(self.env.items())]
        for target, source in sorted(self.files.items()):
            told += [target, source if isinstance(source, str) else _stamp(source)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def write(self, archive: Path) -> None:
        """As a docker-archive: one layer, its config, and the list of both."""
        layer = archive.with_suffix(".layer")
        with tarfile.open(layer, "w") as tar:
            _folders(tar, self.files)
            for target, source in self.files.items():
                _add(tar, target, source)
        with layer.open("rb") as data:
            diff = hashlib.file_digest(data, "sha256").hexdigest()
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Entrypoint": list(self.entrypoint),
                "User": self.user,
                "WorkingDir": "/",
                "Env": [f"{name}={value}" for name, value in ({"PATH": "/bin"} | dict(self.env)).items()],
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff}"]},
            "history": [{"created_by": "fairway lab"}],
        }
        about = json.dumps(config).encode()
        name = f"{hashlib.sha256(about).hexdigest()}.json"
        manifest = [{"Config": name, "RepoTags": [self.name], "Layers": ["layer.tar"]}]
        with tarfile.open(archive, "w") as tar:
            _add(tar, name, about.decode())
            tar.add(layer, "layer.tar")
            _add(tar, "manifest.json", json.dumps(manifest))
        layer.unlink()

    def bring(self) -> None:
        """Write and import the image, unless the node has it."""
        if remembered(self.name) == self.digest:
            return
        archive = CACHE / "image.tar"
        self.write(archive)
        load(archive, self.name, self.digest)


def load(archive: Path, name: str, digest: str) -> None:
    """Import an archive into the node's store, remember what it was made from, and delete it."""
    with LOADING:
        importing = (*CTR, "images", "import", "--snapshotter", "overlayfs", str(archive))
        try:
            run(*importing)
        except (
            LabError
        ):  # containerd may collect a layer of an image that is gone, just as this one begins to build on it
            run(*importing)
        archive.unlink()
        known = json.loads(REMEMBERED.read_text(encoding="utf-8")) if REMEMBERED.exists() else {}
        REMEMBERED.write_text(json.dumps(known | {name: digest}, indent=1), encoding="utf-8")


def remembered(name: str) -> str:
    """What the node's image of this name was made from; empty if it has none."""
    known = json.loads(REMEMBERED.read_text(encoding="utf-8")) if REMEMBERED.exists() else {}
    return str(known.get(name, ""))


def _stamp(path: Path) -> str:
    """Programs lie in folders named by version, and are replaced, not changed."""
    stat = path.stat()
    return f"{path} {stat.st_size} {stat.st_mtime_ns}"


def _folders(tar: tarfile.TarFile, files: Mapping[str, object]) -> None:
    parents = {parent.as_posix() for target in files for parent in Path(target).parents} - {"/", "."}
    for path in sorted(parents | {"tmp"}):
        info = tarfile.TarInfo(path.lstrip("/"))
        info.type, info.mode = tarfile.DIRTYPE, 0o1777 if path == "tmp" else 0o755
        tar.addfile(info)


def _add(tar: tarfile.TarFile, target: str, source: Path | str) -> None:
    info = tarfile.TarInfo(target.lstrip("/"))
    if isinstance(source, str):
        data = source.encode()
        info.size, info.mode = len(data), 0o644
        tar.addfile(info, io.BytesIO(data))
        return
    info.size, info.mode = source.stat().st_size, 0o755
    with source.open("rb") as program:
        tar.addfile(info, program)
