"""How long each command takes before it does anything, as a multiple of a bare interpreter's start in the same run.

Run: `python bench/startup.py [RUNS]`. Each command is started in turn, several rounds, and the median is printed; beside it
stand the heavy modules that were imported, which should be none that the command does not need.
"""

import json
import statistics
import subprocess
import sys
import time
from importlib import metadata

HEAVY = ("scipy", "numpy", "kubernetes", "hera", "pydantic", "requests", "jinja2", "yaml", "kserve", "sklearn")
PROBE = f"""
import sys, json
from fairway_steps.cli import fairway
try:
    fairway.main(args=sys.argv[1:], standalone_mode=False)
except SystemExit:
    pass
print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]), file=sys.stderr)
"""


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def heavy(arguments: list[str]) -> list[str]:
    run = subprocess.run([sys.executable, "-c", PROBE, *arguments], check=True, capture_output=True, text=True)
    loaded: list[str] = json.loads(run.stderr.splitlines()[-1])
    return loaded


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    names = [e.name for e in metadata.distribution("fairway").entry_points if e.group == "fairway.commands"]
    calls = {"--help": ["--help"]} | {name: [name, "--help"] for name in names}
    bare = [sys.executable, "-c", "pass"]
    times: dict[str, list[float]] = {name: [] for name in calls}
    floor: list[float] = []
    for _ in range(rounds):
        floor.append(seconds(bare))
        for name, arguments in calls.items():
            times[name].append(seconds([sys.executable, "-m", "fairway_steps", *arguments]))
    base = statistics.median(floor)
    print(
        f"a bare interpreter starts in {base * 1000:.0f} ms (median of {rounds}); a command takes, as a multiple of that:"
    )
    for name, arguments in calls.items():
        middle = statistics.median(times[name])
        print(
            f"  {name:<16} {middle * 1000:6.0f} ms  {middle / base:5.1f} x   imports {', '.join(heavy(arguments)) or 'nothing heavy'}"
        )


if __name__ == "__main__":
    main()
