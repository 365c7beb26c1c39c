"""What of a release is waiting for evidence, and what is everything else: from `begin` to the report, on the demo.

Run: `python bench/release.py [RUNS]`. The goal is that everything else stays under 20 % of the whole.
"""

import json
import statistics
import subprocess
import sys
import tempfile


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    shares = []
    for turn in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "fairway_steps", "demo", "--dir", folder, "--output", "json"]
            run = subprocess.run(command, check=True, capture_output=True, text=True)
        told = json.loads(run.stdout)
        other = told["wall_s"] - told["evidence_s"]
        shares.append(other / told["wall_s"])
        print(
            f"release {turn + 1}: {told['outcome']}, {told['wall_s']:.1f} s from begin to report, of which {told['evidence_s']:.1f} s "
            f"evidence and {other:.1f} s ({shares[-1]:.0%}) everything else; {told['requests']} requests, {told['lost']} lost"
        )
    print(f"everything else: median {statistics.median(shares):.1%} of the whole (goal: under 20 %)")


if __name__ == "__main__":
    main()
