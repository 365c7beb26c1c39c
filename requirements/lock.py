"""Pin every requirement with hashes, for Python 3.11 to 3.13: `make lock`.

The developers' file is resolved first and constrains the others, so one environment can hold any of them. No file
names a registry.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BUILD = ["hatchling>=1.27", "editables>=0.5"]
FILES = {
    "dev": (["--group", "dev", "--extra", "demo", "--extra", "fast"], [*BUILD, "uv"]),
    "demo": (["--extra", "demo"], [*BUILD, "uv"]),
    "assess": (["--extra", "assess"], []),
    "loadtest": (["--extra", "loadtest", "--extra", "fast"], []),
    "core": ([], []),
    "model-server": (["--extra", "model-server"], []),
    "build": (None, BUILD),
    "uv": (None, ["uv"]),
}


def main() -> None:
    for name, (sources, more) in FILES.items():
        target = HERE / f"{name}.txt"
        constraint = [] if name == "dev" else ["--constraint", str(HERE / "dev.txt")]
        project = [] if sources is None else [str(HERE.parent / "pyproject.toml"), *sources]
        extra = ["-"] if more else []
        command = [
            *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
            *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-annotate"),
            *("--custom-compile-command", "make lock", "--no-emit-package", "fairway", "--upgrade"),
            *constraint,
            *project,
            *extra,
            *("--output-file", str(target)),
        ]
        subprocess.run(command, input="\n".join(more), text=True, check=True, cwd=HERE.parent)
        print(f"{target.name}: {target.read_text().count('==')} packages")


if __name__ == "__main__":
    main()
