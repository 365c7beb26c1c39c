"""Debian packages for the tests, without root: `python requirements/debian.py prometheus` (part of `make test`).

A package is fetched and verified by apt, and unpacked into ~/.cache/fairway/debian/NAME; nothing is installed. Prints where.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairway" / "debian"
STAMP = ".complete"


def unpacked(package: str) -> Path:
    """The folder of an unpacked package; it is fetched if it is not there yet. Raises OSError or CalledProcessError."""
    target = CACHE / package
    if (target / STAMP).exists():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as made:
        folder = Path(made)
        subprocess.run(["dpkg-deb", "--extract", str(_download(package, folder)), str(folder / "tree")], check=True)
        (folder / "tree" / STAMP).touch()
        shutil.rmtree(target, ignore_errors=True)
        (folder / "tree").rename(target)
    return target


def _download(package: str, folder: Path) -> Path:
    """The package's file, by the machine's own lists, or else by fresh ones in a folder of ours: no root needed."""
    own = [f"Dir::State={folder}/state", f"Dir::Cache={folder}/cache", "Debug::NoLocking=1", "APT::Sandbox::User="]
    options = [part for option in own for part in ("-o", option)]
    for more in ([], options):
        if more:
            for name in ("state/lists/partial", "cache/archives/partial"):
                (folder / name).mkdir(parents=True)
            subprocess.run(["apt-get", "--quiet=2", *more, "update"], check=True, stdout=sys.stderr)
        got = subprocess.run(
            ["apt-get", "--quiet=2", *more, "download", package], cwd=folder, check=bool(more), capture_output=not more
        )
        if got.returncode == 0:
            break
    return next(folder.glob(f"{package}_*.deb"))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        try:
            print(unpacked(name))
        except (OSError, subprocess.CalledProcessError, StopIteration) as error:
            sys.exit(
                f"error: the Debian package {name} cannot be fetched ({error}); install {name} and put it on the PATH"
            )
