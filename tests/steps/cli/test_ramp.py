"""`fairway ramp`: what judges is imported before a stage is entered.

Leaves out: what a ramp does (tests/e2e), what is judged (tests/steps/test_judge.py).
"""

import subprocess
import sys

from fairway_steps.record import FileStore
from records import record

RAMP = """
import sys
import fairway_steps.weights as weights
from fairway_steps.cli import fairway

def entered(*given, source, **options):
    print([one for one in ("fairway_steps.judge", "scipy.special", "requests", type(source).__module__) if one not in sys.modules])
    raise SystemExit

weights.enter_stage = entered
fairway.main(args=["ramp", "--record", sys.argv[1]], standalone_mode=False)
"""


def test_what_judges_is_at_hand_before_a_stage_has_users(tmp_path):
    stored, route = tmp_path / "record.json", f"envoy:{tmp_path}?admin=http://127.0.0.1:1"
    FileStore(stored).update(lambda _: record(route=route, metrics=route))
    done = subprocess.run([sys.executable, "-c", RAMP, f"file:{stored}"], check=False, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
