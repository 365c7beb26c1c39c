"""`fairway explain`: what it tells is what the rendered workflow does, the steps that are decided already left out.

Left out: that the workflow does it (test_canary.py, test_release.py run the same templates).
"""

import pytest
from click.testing import CliRunner

from fairway_steps.strategy import Strategy
from fairway_workflows.cli.explain import explain as command

FILE = """\
strategy: blue-green
service: iris
route: envoy:./route
primary: v1=http://127.0.0.1:8001
candidate: v2=http://127.0.0.1:8002
stages: header:x-canary=always@20s,50@5s,100@5m
slos: [{metric: error-rate, limit: 1%}]
"""
SPLIT = """\
strategy: ab
service: iris
route: envoy:./route
primary: v1=http://127.0.0.1:8001
candidate: [v3=http://127.0.0.1:8003, v2=http://127.0.0.1:8002]
stages: v2=30+v3=20@1h
sticky: cookie:user
slos: [{metric: reward, margin: 2%}]
metrics: {source: rest, url: 'http://127.0.0.1:8099', paths: {requests: .n, failures: .f, users: .n, reward: .r, reward-squares: .s}}
"""
LOAD = "load-test: {url: 'http://127.0.0.1:8002/infer', rate: 50, duration: 30s}\n"


@pytest.fixture
def explain():
    """Calls the command; gives its exit code, and the lines it told or the sentence it refused with."""

    def run(*arguments):
        done = CliRunner().invoke(command, arguments, standalone_mode=False)
        if done.exception is None:
            return 0, done.stdout.splitlines()
        return getattr(done.exception, "exit_code", None), str(done.exception)

    return run


def text(lines):
    return [line.strip() for line in lines]


@pytest.mark.parametrize("strategy", [s for s in Strategy if s.releases])
def test_every_release_begins_before_it_ends_and_is_made_safe_at_last(explain, strategy):
    code, lines = explain(strategy.value, "--route", "envoy:./route")
    assert code == 0
    assert lines[0].startswith(f"{strategy}: ")
    order = [
        next(i for i, line in enumerate(lines) if word in line)
        for word in ("begin:", "promote:", "report:", "ensure-safe:")
    ]
    assert order == sorted(order)


def test_the_stages_are_told_as_the_split_that_each_makes(explain):
    _, lines = explain("blue-green", "--route", "envoy:./route", "--stages", "header:a=b@3s,25@5s,100@5m")
    told = [line for line in text(lines) if line.startswith("stage ")]
    assert told == [
        "stage 1 of 3, 3 s: primary 100 %, a=b to candidate",
        "stage 2 of 3, 5 s: primary 75 %, candidate 25 %",
        "stage 3 of 3, 300 s: candidate 100 %",
    ]


def test_a_split_names_all_candidates_and_what_keeps_users_on_their_version(explain, tmp_path):
    (tmp_path / "release.yaml").write_text(SPLIT)
    code, lines = explain("ab", "--file", str(tmp_path / "release.yaml"))
    assert code == 0, lines
    assert lines[0].endswith("v1 → v3 or v2")
    assert "stage 1 of 1, 3600 s: v1 50 %, v2 30 %, v3 20 %, by cookie:user" in text(lines)


@pytest.mark.parametrize("rehearsed", [False, True])
def test_a_file_decides_what_would_else_be_told_as_a_condition(explain, tmp_path, rehearsed):
    (tmp_path / "release.yaml").write_text(FILE + LOAD * rehearsed)
    code, lines = explain("blue-green", "--file", str(tmp_path / "release.yaml"))
    assert code == 0, lines
    assert "load-url" not in "\n".join(lines)
    assert any("url http://127.0.0.1:8002/infer" in line and "duration 30" in line for line in lines) is rehearsed
    assert lines[0].endswith("v1 → v2")
    assert "stage 3 of 3, 300 s: v2 100 %" in text(lines)


def test_a_person_is_asked_where_the_approval_says(explain):
    _, lines = explain("canary", "--route", "envoy:./route", "--approval", "before-traffic")
    first = next(line for line in text(lines) if "ask a person" in line)
    assert first == "2 ask a person, for 1h: May the candidate get its first requests?; no answer is NO"
    assert any("is not YES: rollback" in line and "outcome held" in line for line in lines)


def test_a_person_may_have_no_limit_of_time(explain, tmp_path):
    (tmp_path / "release.yaml").write_text(FILE + "hold-timeout: none\napproval: before-traffic\n")
    code, lines = explain("blue-green", "--file", str(tmp_path / "release.yaml"))
    first = next(line for line in text(lines) if "ask a person" in line)
    assert (code, first) == (
        0,
        "2 ask a person, until there is an answer, 30 days at most: May the candidate get its first requests?",
    )


def test_a_performance_test_needs_no_route(explain):
    code, lines = explain("performance")
    assert (code, [line.split()[1] for line in lines[1:]]) == (0, ["wait-for-ready:", "load-test:", "assess:"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ("mirror", "--route", "grpcroute/team/iris", "--stages", "mirror:50:service/team/collector?port=8090@1m"),
            1,
            "a collector speaks HTTP/1.1, and compares no gRPC answers",
        ),
        (
            ("mirror", "--route", "ksvc/team/iris"),
            1,
            "the route cannot carry a stage mirror:50: a Knative Service copies no requests",
        ),
        (
            ("ab", "--route", "httproute/team/iris", "--sticky", "header:x-user"),
            1,
            "the route cannot keep users on their version, sticky header:x-user: Gateway API has no stable field",
        ),
        (("ab", "--route", "envoy:./r", "--sticky", "x-user"), 2, "x-user"),
        (("canary",), 2, "--route is missing"),
        (("canary", "--route", "ingress/a/b"), 2, "route 'ingress/a/b' is of no kind that Fairway knows"),
        (
            ("blue-green", "--route", "envoy:./r", "--stages", "10@5s"),
            2,
            "ends with all of the traffic on the candidate",
        ),
        (("rolling", "--route", "envoy:./r"), 2, "'rolling' is not one of"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(explain, arguments, code, said):
    found, told = explain(*arguments)
    assert found == code
    assert said in " ".join(told.split())


def test_a_file_of_another_strategy_is_refused(explain, tmp_path):
    (tmp_path / "release.yaml").write_text(FILE)
    code, told = explain("canary", "--file", str(tmp_path / "release.yaml"))
    assert code == 2
    assert "is of strategy blue-green, not canary" in told
