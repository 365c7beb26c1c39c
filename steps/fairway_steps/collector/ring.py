"""A file of JSON lines that never grows over its size: the newest are kept."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairway_steps.errors import UsageError


class Ring:
    """The lines of ``path``, of at most ``size`` bytes together. Only its owner may read it: there is what users sent."""

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            self._held = path.stat().st_size
        except OSError as error:
            raise UsageError(
                f"--samples {path} cannot be written: {error.strerror}", mend="name a file that you may write to"
            ) from error

    def add(self, value: Mapping[str, Any]) -> bool:
        """Keep a line; when there is no room, the older half goes first. False for one that is larger than all of the file."""
        line = json.dumps(value, ensure_ascii=False).encode("utf-8", errors="replace") + b"\n"
        if len(line) > self.size // 2:
            return False
        if self._held + len(line) > self.size:
            self._halve()
        with self.path.open("ab") as file:
            file.write(line)
        self._held = self.path.stat().st_size
        return True

    def _halve(self) -> None:
        with self.path.open("rb") as file:
            file.seek(max(0, self._held - self.size // 2))
            kept = file.read(self.size // 2).partition(b"\n")[2]
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(kept)
        fresh.replace(self.path)
        self._held = len(kept)
