"""Release files, SLOs and stages from text: what they become, and the one sentence each mistake gets.

Left out: the command-line types built on the same parsers (tests/steps/cli), and what the release then does.
"""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.config import (
    TEMPLATE,
    Approval,
    Notice,
    Objectives,
    Traffic,
    absolute,
    from_file,
    load_objectives,
    load_release,
    parse_duration,
    parse_objectives,
    parse_release,
    parse_stages,
    release_schema,
    written,
)
from fairway_steps.config.spec import patience_for
from fairway_steps.config.units import parse_limit, parse_quantile, parse_version
from fairway_steps.errors import UsageError
from fairway_steps.model import (
    DEFAULT_RULES,
    Direction,
    Knobs,
    Metric,
    Mode,
    Outcome,
    Rules,
    Slo,
    Stage,
    Stickiness,
    Unit,
    Verdict,
    Version,
)
from fairway_steps.strategy import Strategy

EXAMPLES = Path(__file__).parents[2] / "examples"

MINIMAL = """\
service: iris
route: envoy:./route
primary: v1=http://127.0.0.1:8001
candidate: v2=http://127.0.0.1:8002
stages: 10@20s,50@20s
slos:
  - {metric: error-rate, limit: 1%}
"""


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_release(text)
    return str(caught.value)


# Units


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("20s", 20), ("5m", 300), ("1h", 3600), ("2.5", 2.5), (" 1.5 s ", 1.5)]
)
def test_durations_are_seconds(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "1e3", "1,5s", "inf", "nan"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="is not a duration such as"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "quantile"),
    [("0.95", 0.95), ("95", 0.95), ("p95", 0.95), ("99.9", 0.999), ("p99.9", 0.999), ("95%", 0.95), (".5", 0.5)],
)
def test_quantiles_are_fractions(text, quantile):
    assert parse_quantile(text) == quantile


@pytest.mark.parametrize("text", ["0", "1", "100", "p100", "p0", "p0.95", "0.5%", "200"])
def test_a_quantile_outside_0_and_1_or_of_two_meanings_is_refused(text):
    with pytest.raises(ValueError, match="is not a quantile between 0 and 1"):
        parse_quantile(text)


@pytest.mark.parametrize(
    ("text", "metric", "limit"),
    [
        ("1%", Metric.ERROR_RATE, 0.01),
        ("0.1 %", Metric.ERROR_RATE, 0.001),
        ("0%", Metric.ERROR_RATE, 0.0),
        ("0.02", Metric.ERROR_RATE, 0.02),
        ("250ms", Metric.LATENCY, 0.25),
        ("1m", Metric.LATENCY_MEAN, 60.0),
    ],
)
def test_limits_carry_their_unit(text, metric, limit):
    assert parse_limit(text, metric) == limit


@pytest.mark.parametrize(
    ("text", "metric", "sentence"),
    [
        ("1", Metric.ERROR_RATE, "write 1% if percent is meant"),
        ("0", Metric.ERROR_RATE, "write 0%"),
        ("100%", Metric.ERROR_RATE, "is no limit"),
        ("250ms", Metric.ERROR_RATE, "is not a share of requests"),
        ("250", Metric.LATENCY, "has no unit; write 250ms or 250s"),
        ("0ms", Metric.LATENCY, "is not above zero"),
        ("1%", Metric.LATENCY_MEAN, "is not a latency"),
    ],
)
def test_a_limit_in_the_wrong_unit_is_refused(text, metric, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_limit(text, metric)


@pytest.mark.parametrize("uri", ["http://", "http://:80", "http://h:0", "http://h:99999", "http://h:x", "http://[::1"])
def test_a_version_whose_url_cannot_be_is_refused(uri):
    with pytest.raises(ValueError, match="is not a URL"):
        parse_version(f"v1={uri}")


def test_a_version_is_named_by_the_last_part_of_its_reference():
    assert parse_version("deployment/default/iris-v2") == Version("iris-v2", "deployment/default/iris-v2")


# Stages


def test_stages_in_short_and_in_yaml_are_the_same():
    expected = (Stage(10, 20.0), Stage(25, 60.0))
    assert parse_stages("10@20s, 25%@1m") == expected
    assert parse_stages("[{weight: 10, duration: 20s}, {weight: 25, duration: 60}]") == expected
    assert parse_stages("- weight: 10\n  duration: 20s\n- {weight: 25, duration: 1m}\n") == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "stages: there are none; write 10@20s"),
        ("10", "stages: '10' is not a stage: write WEIGHT@DURATION, such as 10@20s"),
        ("10@20s,", "'' is not a stage"),
        ("1.5@20s", "'1.5@20s' is not a stage"),
        ("10@soon", "'soon' is not a duration"),
        ("10@20s,10@20s", "stages: [1].weight: 10 does not rise above the 10 before it"),
        ("25@20s,10@20s", "[1].weight: 10 does not rise above the 25"),
        ("10@20s,101@20s", "[1].weight: 101 is over 100 percent"),
        ("50@20s,100@20s,100@20s", "[2].weight: 100 does not rise above the 100 before it"),
        ("header:x-canary@20s", "[0].header: 'x-canary' is not NAME=VALUE"),
        ("header:x canary=1@20s", "[0].header: 'x canary=1' is not NAME=VALUE"),
        ("[{header: 'a=b,c', duration: 5s}]", "[0].header: 'a=b,c' is not NAME=VALUE"),
        ("mirror:0@20s", "[0].weight: 0 gives the candidate no traffic"),
        ("mirror:101@20s", "[0].mirror: 101 is not a whole percent"),
        ("mirror:30:a b@20s", "[0].through: 'a b' is no collector; write http://HOST:PORT"),
        ("mirror:30:http://@20s", "[0].through: 'http://' is no collector"),
        (
            "[{weight: 10, through: http://c:8090, duration: 5s}]",
            "[0].through: a collector is for a stage with a mirror",
        ),
        ("[{header: a=b, through: http://c:8090, duration: 5s}]", "[0].through: a collector is for a stage"),
        ("10@20s,mirror:30@20s", "[1].mirror: mirror:30 comes after the first stage"),
        ("mirror:30@20s,header:a=b@20s", "[1].header: header:a=b comes after the first stage"),
        (
            "[{weight: 10, mirror: 30, duration: 5s}]",
            "[0].mirror: a stage has one of weight, weights, header and mirror",
        ),
        (
            "[{header: a=b, mirror: 30, duration: 5s}]",
            "[0].header: a stage has one of weight, weights, header and mirror",
        ),
        ("[{duration: 5s}]", "[0].weight: 0 gives the candidate no traffic"),
        ("0@20s", "[0].weight: 0 gives the candidate no traffic"),
        ("10@0s", "[0].duration: a stage lasts longer than 0 s"),
        ("10@600h,20@73h", "[1].duration: the stages last longer than 28 days in all"),
        ("[{weight: 10}]", "stages:1: [0]: duration is missing"),
        ("[{weight: 10, durration: 5s}]", "[0].durration: there is no such field; did you mean 'duration'?"),
        ("- {weight: 10, duration: 5s}\n- {weight: 120, duration: 5s}", "stages:2: [1].weight: 120 is over"),
        ("[{weight: 10.5, duration: 5s}]", "[0].weight: 10.5 is not a whole number"),
        ("[{weight: '10', duration: 5s}]", "[0].weight: '10' is not a whole number"),
        ("{weight: 10, duration: 5s}", "a mapping is not a list"),
        ("v2=30+v2=20@5s", "'v2=30+v2=20@5s' gives a version two weights"),
        ("v2=30+v3=0@5s", "[0].weights: v3 gets no traffic; weights go from 1 to 99"),
        ("v2=30+v3=70@5s", "[0].weights: they add up to 100 percent, which leaves nothing to the primary"),
        ("10@5s,v2=30@5s", "[1].weights: a stage between several candidates is the only one"),
        ("v2=30@5s,50@5s", "[1].weight: a stage between several candidates is the only one"),
        (
            "v2=30+v3@5s",
            "is not a stage: write WEIGHT@DURATION, such as 10@20s, or header:NAME=VALUE@20s, mirror:30@20s or v2=30+v3=30@1h",
        ),
        (
            "[{weights: {v2: 30}, weight: 5, duration: 5s}]",
            "[0].weights: a stage has one of weight, weights, header and mirror",
        ),
        (
            "[{weights: {v2: 30}, mirror: 5, duration: 5s}]",
            "[0].mirror: a stage has one of weight, weights, header and mirror",
        ),
        ("[{weights: {v2: x}, duration: 5s}]", "[0].weights.v2: 'x' is not a whole number"),
    ],
)
def test_stages_that_cannot_be_are_refused_in_one_sentence(text, sentence):
    with pytest.raises(UsageError) as caught:
        parse_stages(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("header:x-canary=always@20s", Stage(0, 20.0, header="x-canary=always")),
        ("header:x-user=a@b.org@20s", Stage(0, 20.0, header="x-user=a@b.org")),
        ("mirror:30@1m", Stage(0, 60.0, mirror=30)),
        ("mirror:30%@1m", Stage(0, 60.0, mirror=30)),
        ("mirror:30:http://c:8090@1m", Stage(0, 60.0, mirror=30, through="http://c:8090")),
        ("mirror:30%:service/team/c?port=8090@1m", Stage(0, 60.0, mirror=30, through="service/team/c?port=8090")),
        ("[{mirror: 30, through: http://c:8090, duration: 60}]", Stage(0, 60.0, mirror=30, through="http://c:8090")),
        ("[{header: x-canary=always, duration: 20s}]", Stage(0, 20.0, header="x-canary=always")),
        ("[{mirror: 30, duration: 60}]", Stage(0, 60.0, mirror=30)),
        ("100@1m", Stage(100, 60.0)),
        ("v2=30+v3=20@1m", Stage(50, 60.0, weights={"v2": 30, "v3": 20})),
        ("v2.1=30%@1m", Stage(30, 60.0, weights={"v2.1": 30})),
        ("[{weights: {v2: 30, v3: 20}, duration: 60}]", Stage(50, 60.0, weights={"v2": 30, "v3": 20})),
    ],
)
def test_a_stage_may_be_for_testers_or_for_copies_or_for_everybody(text, stage):
    assert parse_stages(text) == (stage,)
    assert parse_stages(f"{stage.how}@{stage.duration}s") == (stage,)


@given(st.lists(st.integers(1, 99), min_size=1, max_size=8, unique=True).map(sorted), st.integers(1, 10_000))
def test_every_rising_schedule_is_taken(weights, duration):
    assert parse_stages(",".join(f"{w}@{duration}s" for w in weights)) == tuple(Stage(w, duration) for w in weights)


@given(st.text(max_size=40))
def test_no_text_whatever_makes_stages_fail_in_another_way(text):
    try:
        stages = parse_stages(text)
    except UsageError:
        return
    assert all(0 < stage.weight < 100 and stage.duration > 0 for stage in stages)


# SLOs


def test_slos_of_each_metric():
    text = """
    - {metric: error-rate, limit: 1%, min-requests: 200}
    - {metric: latency, quantile: p95, limit: 250ms}
    - {metric: latency, quantile: 0.99, limit: 1s}
    - {metric: latency-mean, limit: 0.1s}
    """
    slos = (
        Slo(Metric.ERROR_RATE, 0.01, None, 200),
        Slo(Metric.LATENCY, 0.25, 0.95, min_in_all=82),
        Slo(Metric.LATENCY, 1.0, 0.99, min_in_all=417),
        Slo(Metric.LATENCY_MEAN, 0.1),
    )
    assert parse_objectives(text) == parse_objectives("slos:" + text) == Objectives(slos)


def test_margins_rules_and_all_that_an_slo_may_say():
    text = """
    mode: prove
    alpha: 1%
    beta: 0.1
    burn-in: 3
    early-end: false
    slos:
    - {metric: error-rate, margin: 50%, critical: true, direction: lower}
    - {metric: latency, quantile: p99, margin: 200%, weight: 2}
    - {metric: success-rate, limit: 99.5%}
    """
    assert parse_objectives(text) == Objectives(
        (
            Slo(Metric.ERROR_RATE, 0.5, relative=True, critical=True),
            Slo(Metric.LATENCY, 2.0, 0.99, relative=True, weight=2.0, min_in_all=417),
            Slo(Metric.SUCCESS_RATE, 0.995, min_in_all=836),
        ),
        Rules(Mode.PROVE, 0.01, 0.1, 3, early_end=False),
    )


positive = st.decimals("0.00001", "0.99", places=5).map(float)
any_slo = st.one_of(
    st.builds(Slo, st.just(Metric.ERROR_RATE), positive, relative=st.booleans(), critical=st.booleans()),
    st.builds(Slo, st.just(Metric.SUCCESS_RATE), positive, weight=st.sampled_from([0.5, 1.0, 3.0])),
    st.builds(Slo, st.just(Metric.LATENCY), positive, positive, st.integers(1, 9999), relative=st.booleans()),
    st.builds(Slo, st.just(Metric.LATENCY), st.sampled_from([1.0, 2.5, 9.0]), st.just(0.95), relative=st.booleans()),
    st.builds(Slo, st.just(Metric.LATENCY_MEAN), st.floats(1e-4, 1e4)),
    st.builds(Slo, st.just(Metric.LATENCY), positive, st.just(0.95), of=st.just("time-to-first-token")),
    st.builds(
        Slo,
        st.just(Metric.REWARD),
        positive,
        relative=st.just(True),
        unit=st.just(Unit.USER),
        direction=st.sampled_from([None, *Direction]),
    ),
    st.builds(
        Slo,
        st.just(Metric.SERIES),
        st.just(0.0),
        relative=st.just(True),
        of=st.sampled_from(["gpu", "cost-per-hour"]),
        direction=st.sampled_from([None, *Direction]),
        knobs=st.builds(
            Knobs, positive, allowed_increase=st.one_of(st.none(), positive), remove_outliers=st.booleans()
        ),
    ),
)
any_rules = st.builds(
    Rules,
    st.just(Mode.GUARD),
    positive.map(lambda p: p / 2),
    positive.map(lambda p: p / 2),
    st.integers(0, 9),
    st.booleans(),
)


@given(any_slo, any_rules)
def test_what_is_written_for_a_workflow_reads_the_same(slo, rules):
    assert parse_objectives(written(Objectives((slo,), rules))) == Objectives((slo,), rules)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- {metric: error-rat, limit: 1%}", "slos:1: [0].metric: 'error-rat' is none of error-rate, success-rate, "),
        ("- {metric: error-rat, limit: 1%}", "; did you mean 'error-rate'?"),
        ("- {metric: error-rate}", "slos:1: [0]: limit is missing"),
        ("- {metric: reward}", "slos:1: [0]: margin is missing; write how much worse than the primary's it may be"),
        (
            "- {metric: reward, limit: 3}",
            "slos:1: [0].limit: a reward is compared with the primary's; write margin: 2%",
        ),
        ("- {metric: reward, margin: 150%}", "slos:1: [0].margin: no reward can be worse by all of it"),
        ("- {metric: reward, margin: 2%, unit: request}", "slos:1: [0].unit: the unit of a reward is the user"),
        (
            "- {metric: reward, margin: 2%, of: x}",
            "slos:1: [0].of: reward has none; it belongs to metric: latency or series",
        ),
        ("- {metric: error-rate, limit: 1%, method: mann-whitney}", "slos:1: [0].method: error-rate has none"),
        ("- {metric: series, method: mann-whitney}", "slos:1: [0]: of is missing; write the name that the series has"),
        ("- {metric: series, of: gpu, limit: 80%}", "slos:1: [0].limit: a series is compared by ranks; write knobs:"),
        ("- {metric: series, of: gpu, critical: true}", "slos:1: [0].critical: a series shares no evidence"),
        ("- {metric: series, of: gpu, method: t-test}", "slos:1: [0].method: 't-test' is none of mann-whitney"),
        ("- {metric: series, of: gpu}\n- {metric: series, of: gpu}", "slos:2: [1]: gpu has a comparison already"),
        (
            "mode: prove\nslos:\n- {metric: series, of: gpu}",
            "slos:3: slos[0]: mode prove cannot prove it: what is looked at once",
        ),
        ("- {metric: error-rate, limit: 1%, unit: user}", "slos:1: [0].unit: no source tells an error's user"),
        ("\n- {metric: error-rate, limit: 5}", "slos:2: [0].limit: 5 without a unit"),
        ("- {metric: latency, quantile: p95, limit: 250}", "[0].limit: 250 has no unit; write 250ms or 250s"),
        ("- {metric: latency, limit: 250ms}", "[0]: quantile is missing"),
        ("- {metric: latency, quantile: 1.0, limit: 250ms}", "[0].quantile: '1.0' is not a quantile between 0 and 1"),
        ("- {metric: latency, quantile: true, limit: 250ms}", "[0].quantile: true is not a quantile"),
        ("- {metric: error-rate, quantile: 0.5, limit: 1%}", "[0].quantile: error-rate has no quantile"),
        ("- {metric: error-rate, limit: 1%, min-requests: 0}", "[0].min-requests: 0 is less than 1"),
        ("- {metric: error-rate, limit: [1]}", "[0].limit: a list is not text"),
        ("- {metric: error-rate, limit: 1%}\n- {metric: error-rate, limit: 2%}", "slos:2: [1]: error-rate has a limit"),
        ("[]", "there are none"),
        ("slos: []", "slos:1: slos: there are none"),
        ("slos: []\nother: 1", "slos:2: other: there is no such field; there are mode, alpha, "),
        ("mode: guard", "slos:1: slos is missing"),
        ("mode: gard\nslos: []", "slos:1: mode: 'gard' is none of guard, prove; did you mean 'guard'?"),
        ("- {metric: error-rate, limit: 1%, margin: 10%}", "[0].margin: error-rate has a limit here already"),
        ("- {metric: error-rate, margin: 10}", "[0].margin: 10 has no unit; write 10% if percent is meant"),
        ("- {metric: error-rate, margin: 1000%}", "[0].margin: 1000% is no margin"),
        ("- {metric: error-rate, margin: -1%}", "[0].margin: '-1%' is not a margin such as 10%"),
        ("- {metric: latency-mean, margin: 10%}", "[0].margin: latency-mean is not compared with the primary"),
        ("- {metric: success-rate, margin: 10%}", "write metric: error-rate"),
        ("- {metric: difference-rate, margin: 10%}", "[0].margin: difference-rate is a share of comparisons"),
        (
            "- {metric: difference-rate, limit: 1%, unit: stratum}",
            "[0].unit: difference-rate is a share of comparisons",
        ),
        ("- {metric: difference-rate, limit: 1s}", "[0].limit: '1s' is not a share"),
        ("- {metric: success-rate, limit: 0%}", "[0].limit: 0% is kept by every version"),
        ("- {metric: error-rate, limit: 1%, direction: higher}", "[0].direction: a lower error-rate is the better one"),
        ("- {metric: error-rate, limit: 1%, weight: 0}", "[0].weight: 0 is not above 0"),
        (
            "- {metric: error-rate, limit: 1%, timeout: 9s}",
            "[0].timeout: error-rate has none; it belongs to metric: latency-mean",
        ),
        ("- {metric: series, of: gpu, timeout: 9s}", "[0].timeout: series has none"),
        ("- {metric: latency-mean, limit: 1s, timeout: 1s}", "[0].timeout: 1 s is not above the limit"),
        ("mode: prove\nslos: [{metric: latency-mean, limit: 1s}]", "as nothing bounds a latency; write timeout: 30s"),
        ("- {metric: error-rate, limit: 250ms}", "[0].limit: '250ms' is not a share of requests such as 1% or 0.01"),
        ("- {metric: latency, quantile: p95, limit: 1%}", "[0].limit: '1%' is not a latency such as 250ms or 1.5s"),
        ("- {metric: latency, quantile: p0, limit: 1s}", "[0].quantile: 'p0' is not a quantile between 0 and 1"),
        ("- {metric: latency, quantile: p100, limit: 1s}", "[0].quantile: 'p100' is not a quantile between 0 and 1"),
        ("alpha: 60%\nslos: []", "slos:1: alpha: 60% is not a risk above 0 and at most 50%"),
        ("beta: 0\nslos: []", "slos:1: beta: 0"),
        ("burn-in: -1\nslos: []", "slos:1: burn-in: -1 is less than 0"),
        ("mode: prove\nslos: [{metric: error-rate, limit: 0%}]", "slos:2: slos[0]: mode prove cannot prove it"),
        (
            "- {metric: latency, quantile: p95, margin: 10%, unit: stratum}",
            "[0].unit: a latency margin is compared request",
        ),
        ("- {metric: error-rate, limit: 1%, unit: minute}", "unit"),
        ("mode: prove\nslos:\n- {metric: error-rate, margin: 0%}", "write a margin such as 10%"),
        ("", "slos:1: there is nothing in it"),
        ("error-rate", "'error-rate' is not a list"),
    ],
)
def test_slos_that_cannot_be_are_refused_in_one_sentence(text, sentence):
    with pytest.raises(UsageError) as caught:
        parse_objectives(text)
    assert sentence in str(caught.value)


def test_an_option_may_name_a_file_whose_path_then_starts_the_sentence(tmp_path):
    file = tmp_path / "slos.yaml"
    file.write_text("# mine\n- {metric: latncy, limit: 1s}\n")
    with pytest.raises(UsageError, match=r"slos\.yaml:2: \[0\]\.metric: 'latncy'"):
        load_objectives(f"file:{file}")
    assert from_file(f"file:{file}").startswith("# mine")
    assert from_file("text") == "text"
    with pytest.raises(UsageError, match="gone cannot be read: no such file"):
        from_file(f"file:{tmp_path}/gone")
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        from_file(f"file:{file}")


# Release files


def test_the_template_is_the_example_loads_and_fits_its_schema():
    assert (EXAMPLES / "release.yaml").read_text() == TEMPLATE
    spec = load_release(EXAMPLES / "release.yaml")
    assert spec.stages == (Stage(10, 20.0), Stage(25, 20.0), Stage(50, 20.0))
    assert spec.record == "file:.fairway/iris.json"
    assert json.loads(spec.inference.payload)["inputs"][0]["shape"] == [1, 4]
    jsonschema.validate(yaml.safe_load(TEMPLATE), release_schema(), cls=jsonschema.Draft202012Validator)


def test_every_commented_field_of_the_template_loads_too():
    lines = TEMPLATE.splitlines()
    uncommented = [line.replace("# ", "", 1) if line.startswith("# ") or "  # - {" in line else line for line in lines]
    fields = {
        "patience:",
        "traffic:",
        "  url:",
        "  path:",
        "  rate:",
        "  payload:",
        "notify:",
        "  - {to:",
        "  - {metric:",
    }
    kept = [
        new if any(new.startswith(field) for field in fields) else old
        for old, new in zip(lines, uncommented, strict=True)
    ]
    spec = parse_release("\n".join(kept))
    assert spec.traffic is not None
    assert spec.traffic.rate == 40
    assert len(spec.slos) == 4
    assert spec.patience == 20
    assert spec.notify == (
        Notice("slack", "env:SLACK_WEBHOOK_URL", (Outcome.ROLLED_BACK, Outcome.HELD, Outcome.BROKEN)),
    )
    jsonschema.validate(yaml.load("\n".join(kept), yaml.BaseLoader)["notify"][0], {"required": ["on"]})


def test_the_slos_example_loads():
    objectives = load_objectives(f"file:{EXAMPLES / 'slos.yaml'}")
    assert {slo.metric for slo in objectives.slos} == set(Metric)
    assert objectives.rules == DEFAULT_RULES


def test_the_defaults_of_a_short_file():
    spec = parse_release(MINIMAL)
    assert spec.primary == Version("v1", "http://127.0.0.1:8001")
    assert spec.metrics == ""
    assert spec.record == "file:.fairway/iris.json"
    assert (spec.interval, spec.patience, spec.hold_timeout, spec.ready_timeout) == (1.0, None, 3600.0, 60.0)
    assert spec.on_inconclusive is Verdict.HOLD
    assert spec.approval is Approval.NONE
    assert patience_for(Stage(10, 5.0), None) == 10.0
    assert patience_for(Stage(10, 30.0), None) == 30.0
    assert patience_for(Stage(10, 30.0), 2.0) == 2.0


def test_a_file_with_everything():
    spec = parse_release(
        MINIMAL.replace("candidate: v2=http://127.0.0.1:8002", "candidate: {name: v2, url: 'http://127.0.0.1:8002'}")
        + """\
metrics: scrape:http://127.0.0.1:9901/stats/prometheus
patience: 0s
on-inconclusive: rollback
approval: before-promotion
record: file:/tmp/r.json
traffic: {url: 'http://127.0.0.1:10000', payload: '{"a": 1}', poisson: false, headers: {x-user: a}, timeout: 5s, path: /x}
notify:
  - {to: http, url: 'https://example.org/hook'}
  - {to: github, repository: acme/iris, token-from: env:GITHUB_TOKEN, on: [promoted]}
"""
    )
    assert spec.candidate == Version("v2", "http://127.0.0.1:8002")
    assert spec.on_inconclusive is Verdict.ROLLBACK
    assert spec.approval is Approval.BEFORE_PROMOTION
    assert spec.traffic == Traffic("http://127.0.0.1:10000", 20.0, "/x", '{"a": 1}', {"x-user": "a"}, False, 5.0)
    assert spec.notify == (
        Notice("http", "https://example.org/hook"),
        Notice("github", "", (Outcome.PROMOTED,), "acme/iris", "env:GITHUB_TOKEN"),
    )
    assert spec.patience == 0


def test_yaml_s_old_surprises_do_not_happen():
    text = MINIMAL.replace("10@20s,50@20s", "[{weight: 010, duration: 20s}]")
    assert parse_release(text).stages[0].weight == 10
    assert "'1:30' is not a duration" in refusal(MINIMAL + "interval: 1:30\n")
    assert parse_release(MINIMAL + "report: no\n").report == "no"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "release.yaml:1: there is nothing in it"),
        ("# only a comment\n", "release.yaml:1: there is nothing in it"),
        ("service: [iris\n", "release.yaml:2: not YAML: "),
        ("service: iris\n\troute: x", "release.yaml:2: not YAML: "),
        ("service: iris\x07", "release.yaml:1: a character stands there that YAML does not allow"),
        ("- service", "release.yaml:1: a list is not a mapping of fields"),
        ("service: x\n---\nservice: y", "release.yaml:2: not YAML: "),
        ("a: &a [1]\nb: *a", "release.yaml:2: an alias (*name) is not taken here"),
        ("a: !!python/object/apply:os.system [ls]", "release.yaml:1: the tag !!python/object/apply:os.system is not taken"),
        ("a: !!int x", "release.yaml:1: the tag !!int is not taken here"),
        ("? [a]\n: 1", "release.yaml:1: a field's name is a word"),
        ("a: " + "9" * 5000, "release.yaml:1: the number is too long"),
        ("[" * 5000, "release.yaml:1: nested too deeply"),
        (MINIMAL + "service: other\n", "release.yaml:8: 'service' stands here a second time"),
        (MINIMAL + "on-inconclusiv: hold\n", "release.yaml:8: on-inconclusiv: there is no such field; did you mean 'on-inconclusive'?"),
        (MINIMAL.replace("primary:", "primry:"), "release.yaml:3: primry: there is no such field; did you mean 'primary'?"),
        (MINIMAL.replace("service: iris\n", ""), "release.yaml:1: service is missing"),
        (MINIMAL.replace("iris", "Iris!"), "release.yaml:1: service: 'Iris!' is not a service's name"),
        (MINIMAL.replace("iris", "12"), "release.yaml:1: service: 12 is not text"),
        (MINIMAL.replace("10@20s,50@20s", "50@20s,10@20s"), "release.yaml:5: stages[1].weight: 10 does not rise above the 50"),
        (MINIMAL.replace("10@20s,50@20s", "\n  - weight: 10\n    duration: 20s\n  - duration: 20s\n    weight: 101"),
         "release.yaml:9: stages[1].weight: 101 is over 100 percent"),
        (MINIMAL.replace("10@20s,50@20s", "[]"), "release.yaml:5: stages: there are none"),
        (MINIMAL.replace("1%", "one"), "release.yaml:7: slos[0].limit: 'one' is not a share"),
        (MINIMAL.replace("v2=http", "v1=http"), "release.yaml:4: candidate: it is called 'v1', like the primary"),
        (MINIMAL.replace("8002", "8001/"), "release.yaml:4: candidate: http://127.0.0.1:8001/ is the primary's own address"),
        (MINIMAL.replace("v2=http://127.0.0.1:8002", "{name: v2}"), "release.yaml:4: candidate: url is missing"),
        (MINIMAL.replace("v2=http://127.0.0.1:8002", "{name: V2, url: 'http://h:1'}"), "release.yaml:4: candidate: 'V2' is not a version's name"),
        (MINIMAL.replace("v2=http://127.0.0.1:8002", "v2=http://:80"), "release.yaml:4: candidate: 'http://:80' is not a URL"),
        (MINIMAL.replace("v2=http://127.0.0.1:8002", "v2"), "release.yaml:4: candidate: v2 has no address; write v2=http://HOST:PORT"),
        (MINIMAL + "approval: maybe\n", "release.yaml:8: approval: 'maybe' is none of none, before-traffic, before-promotion"),
        (MINIMAL + "on-inconclusive: advance\n", "release.yaml:8: on-inconclusive: 'advance' is none of hold, rollback, promote"),
        (MINIMAL + "ready: {timeout: 0s}\n", "release.yaml:8: ready.timeout: 0s is not above zero"),
        (MINIMAL + "ready: soon\n", "release.yaml:8: ready: 'soon' is not a mapping of fields"),
        (MINIMAL + "interval: [1]\n", "release.yaml:8: interval: a list is not a duration such as 20s"),
        (MINIMAL + "inference: {payload: '{'}\n", "release.yaml:8: inference.payload: it is not JSON"),
        (MINIMAL + "inference: {payload: 3}\n", "release.yaml:8: inference.payload: 3 is not JSON"),
        (MINIMAL + "traffic: {rate: 5}\n", "release.yaml:8: traffic: url is missing"),
        (MINIMAL + "traffic:\n  url: http://h:1\n  rate: 0\n", "release.yaml:10: traffic.rate: 0 is not above 0"),
        (MINIMAL + "traffic: {url: 'h:1'}\n", "release.yaml:8: traffic.url: 'h:1' is not a URL"),
        (MINIMAL + "traffic: {url: 'http://h:99999'}\n", "release.yaml:8: traffic.url: 'http://h:99999' is not a URL"),
        (MINIMAL + 'traffic: {url: "http://h:1", headers: {a: "b\\nc"}}\n', "release.yaml:8: traffic.headers: the header 'a' has"),
        (MINIMAL + "traffic: {url: 'http://h:1', path: x}\n", "release.yaml:8: traffic.path: 'x' does not start with /"),
        (MINIMAL + "traffic: {url: 'http://h:1', poisson: 1}\n", "release.yaml:8: traffic.poisson: 1 is not true or false"),
        (MINIMAL + "notify: [{to: slak, url: 'env:X'}]\n", "release.yaml:8: notify[0].to: 'slak' is none of slack, github, http; did you mean 'slack'?"),
        (MINIMAL + "notify: [{to: slack, url: 'https://hooks/secret'}]\n", "release.yaml:8: notify[0].url: a Slack webhook's URL is a secret; write env:NAME or file:PATH"),
        (MINIMAL + "notify: [{to: http, url: X}]\n", "release.yaml:8: notify[0].url: it is neither an HTTP URL nor env:NAME nor file:PATH"),
        (MINIMAL + "notify: [{to: http}]\n", "release.yaml:8: notify[0]: url is missing"),
        (MINIMAL + "notify: [{to: github, token-from: 'env:X'}]\n", "release.yaml:8: notify[0]: repository is missing"),
        (MINIMAL + "notify: [{to: github, repository: a/b, token-from: ghp_x}]\n", "release.yaml:8: notify[0].token-from: it is neither env:NAME nor file:PATH"),
        (MINIMAL + "notify: [{to: slack, url: 'env:X', on: [done]}]\n", "release.yaml:8: notify[0].on[0]: 'done' is none of promoted"),
        (MINIMAL + "report:\n", "release.yaml:8: report: nothing is not text"),
        (MINIMAL.replace("10@20s", "mirror:9@5s").replace("error-rate, limit", "reward, margin"), "release.yaml:5: stages: stage 1, mirror 9 %, shows no user the candidate's answers, so no reward of it exists there; leave that stage out, or the reward"),
    ],
)  # fmt: skip
def test_bad_files_get_one_sentence_with_their_line(text, sentence):
    said = refusal(text)
    assert said.startswith(sentence) or sentence in said
    assert "\n" not in said
    assert "pydantic" not in said.lower()
    assert "validation error" not in said.lower()


SEVERAL = """\
service: iris
route: envoy:./route
primary: v1=http://127.0.0.1:8001
candidate:
  - v2=http://127.0.0.1:8002
  - v3=http://127.0.0.1:8003
stages: v2=30+v3=30@10m
sticky: header:x-user
slos:
  - {metric: error-rate, limit: 1%}
  - {metric: reward, margin: 5%}
strategy: ab
"""


def test_a_file_may_name_several_candidates():
    spec = parse_release(SEVERAL)
    assert [version.name for version in spec.candidates] == ["v2", "v3"]
    assert spec.stages == (Stage(60, 600.0, weights={"v2": 30, "v3": 30}),)
    assert spec.sticky == Stickiness(header="x-user")
    assert parse_release(SEVERAL.replace("header:x-user", "cookie:session")).sticky == Stickiness(cookie="session")
    alone = parse_release(SEVERAL.replace("  - v3=http://127.0.0.1:8003\n", "").replace("+v3=30", ""))
    assert (alone.rivals, alone.stages[0].weights) == ((), {"v2": 30})
    assert jsonschema.Draft202012Validator(release_schema()).is_valid(yaml.safe_load(SEVERAL))


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("8003", "8002", "release.yaml:6: candidate[1]: http://127.0.0.1:8002 is candidate[0]'s own address"),
        ("8003", "8001", "release.yaml:6: candidate[1]: http://127.0.0.1:8001 is the primary's own address"),
        ("- v3=http", "- v2=http", "release.yaml:6: candidate[1]: it is called 'v2', like candidate[0]"),
        ("v3=http://127.0.0.1:8003", "{name: v3}", "release.yaml:6: candidate[1]: url is missing"),
        ("+v3=30", "", "release.yaml:7: stages: v3 is a candidate and has no weight"),
        ("v3=30", "v4=30", "release.yaml:7: stages: v4 has a weight and is not a candidate (v2, v3)"),
        ("v2=30+v3=30", "50", "release.yaml:7: stages: strategy ab has one stage with a weight for each candidate, not 50; write v2=30+v3=30@1h"),
        ("strategy: ab\n", "", "release.yaml:7: stages: strategy canary has one candidate, and v2=30+v3=30 is a stage between several; write"),
        ("stages: v2=30+v3=30@10m\nsticky: header:x-user", "stages: 50@10m", "release.yaml:7: stages: strategy ab has one stage"),
        ("header:", "", "release.yaml:8: sticky: 'x-user' does not say what users are told apart by; write header:x-user or"),
        ("header:x-user", "ip:4", "release.yaml:8: sticky: 'ip:4' does not say"),
        ("  - {metric: reward, margin: 5%}\n", "", "release.yaml:9: slos: a split between versions needs one reward"),
        ("candidate:\n  - v2=http://127.0.0.1:8002\n  - v3=http://127.0.0.1:8003\n", "candidate: []\n",
         "release.yaml:4: candidate: there is nothing in it"),
        ("  - v3=http", "".join(f"  - w{i}=http://h:{i + 1}\n" for i in range(6)) + "  - v3=http",
         "release.yaml:4: candidate: 8 candidates are too many: at most 7"),
    ],
)  # fmt: skip
def test_several_candidates_that_cannot_be_are_refused_with_their_line(before, after, sentence):
    assert before in SEVERAL
    with pytest.raises(UsageError) as caught:
        parse_release(SEVERAL.replace(before, after))
    assert str(caught.value).startswith(sentence)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"release\.yaml cannot be read: no such file or directory"):
        load_release(tmp_path / "release.yaml")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["service", "stages", "slos", "weight", "metric", "limit", "candidate", "name", "url", "x"]), inner, max_size=4)))  # fmt: skip
def test_any_json_either_loads_or_is_refused_in_one_sentence(data):
    try:
        parse_release(json.dumps(data))
    except UsageError as error:
        assert str(error).startswith("release.yaml:")  # noqa: PT017 - most draws are refused, none may fail otherwise


def test_the_schema_explains_itself_and_refuses_what_the_loader_refuses():
    schema = release_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert all(field.get("description") for field in schema["properties"].values())
    valid = yaml.safe_load(MINIMAL)
    jsonschema.validate(valid, schema)
    for broken in ({**valid, "stages": 3}, {**valid, "extra": 1}, {**valid, "slos": [{"metric": "x", "limit": "1%"}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("traffic: {url: 'http://h:1', rate: 1e400}", "traffic.rate: inf is not a finite number"),
        ("interval: 99999999999999999999s", "interval: 99999999999999999999s is longer than ten years"),
    ],
)
def test_numbers_beyond_all_measure_are_refused(changed, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        parse_release(f"{MINIMAL}\n{changed}\n")


def staged(**fields):
    return {"stages": [{"weight": 10, "duration": "5s"} | fields]}


def limited(**fields):
    return {"slos": [{"metric": "error-rate", "limit": "1%"} | fields]}


def latency(**fields):
    return limited(metric="latency", **{"quantile": "p95", "limit": "1s"} | fields)


TRAFFIC = {"url": "http://h:1"}
LOAD = {"url": "http://h:2/infer"}
LIKENESSES = [
    *(staged(weight=each) for each in (-1, 0, 1, 100, 101, 10**30)),
    *(staged(duration=each) for each in ("", 0, "0s", -1, 5, "5", " 1.5 h ")),
    {"stages": [{"duration": "1s"}]},
    staged(header="a=b"),
    *({"stages": each} for each in ("", "10%", "10@", "10@5s", "10@5s,20@5s")),
    *(limited(limit=each) for each in ("yes", True, -1, 0, 10, 0.01, "1%", "250ms", "")),
    *(latency(limit=each) for each in ("yes", 0.01, 10, "1%", "250ms", "0s")),
    *(latency(quantile=each) for each in ("p95", 95, 0.95, "x", 0, 100, -1)),
    {"slos": [{"metric": "latency", "limit": "1s"}]},
    limited(quantile="p95"),
    {"slos": [{"metric": "error-rate"}]},
    limited(margin="1%"),
    *({"slos": [{"metric": "error-rate", "margin": each}]} for each in ("10%", 0.1, 1, "200%", -0.1, "x")),
    *({"alpha": each} for each in ("5%", 0.05, 0.5, 0.6, 0, "x")),
    latency(of="time-to-first-token"),
    *(
        {"slos": [{"metric": "reward"} | each]}
        for each in ({}, {"limit": "1%"}, {"margin": "2%"}, {"margin": "2%", "of": "x"})
    ),
    *({"slos": [{"metric": "reward", "margin": "2%", "unit": each}]} for each in ("user", "request")),
    *({"slos": [{"metric": "series"} | each]} for each in ({}, {"of": "gpu"}, {"of": "gpu", "margin": "1%"})),
    *({"slos": [{"metric": "series", "of": "gpu", "knobs": each}]} for each in ({"tolerance": 0.5}, {"tolerance": -1})),
    *(limited(**each) for each in ({"of": "gpu"}, {"method": "mann-whitney"}, {"knobs": {}})),
    *({"metrics": {"source": "rest", "url": "http://h/$version", "headers": {"x": each}}} for each in ("abc", 3)),
    *({"traffic": TRAFFIC | {"path": each}} for each in ("", "x", "/x")),
    *({"service": each} for each in ("", " ", "é", "Iris", "a b", "a/b", "iris.v1-a")),
    *({"primary": each} for each in ("", "yes", "x=y", "v1=http://h:1", "http://h:1")),
    *({"candidate": each} for each in ("yes", "v2=http://h:1", [], ["v2=http://h:1"], [3], 3, {"name": "v2"})),
    *({"sticky": each} for each in ("", "header:x-user", "cookie:a", "x-user", "ip:x", 3)),
    *(
        {"strategy": "ab", "stages": [{"weights": each, "duration": "5s"}]}
        for each in ({"v2": 0}, {"v2": 100}, {"v2": "x"}, [])
    ),
    staged(weights={"v2": 10}),
    *({"interval": each} for each in (0, "0s", "1s", -1)),
    *({"patience": each} for each in (0, "0s", "x", -1)),
    {"strategy": "rolling"},
    *({"strategy": "blue-green", "stages": each} for each in ("100@5s", [])),
    {"strategy": "mirror", "stages": "mirror:50@5s"},
    {"strategy": "none"},
    {"strategy": "performance", "load-test": LOAD},
    *({"load-test": each} for each in (LOAD, LOAD | {"rate": "5..50@9s", "duration": "9s"}, {}, LOAD | {"rates": 3})),
]


@pytest.mark.parametrize("changed", LIKENESSES, ids=str)
def test_schema_and_loader_take_and_refuse_the_same(changed):
    document = yaml.safe_load(MINIMAL) | changed
    try:
        parse_release(yaml.safe_dump(document))
    except UsageError:
        taken = False
    else:
        taken = True
    validator = jsonschema.Draft202012Validator(release_schema())
    assert validator.is_valid(document) is taken


WITHOUT = ("route", "primary", "stages", "slos")


@pytest.mark.parametrize("left_out", WITHOUT)
@pytest.mark.parametrize("strategy", Strategy)
def test_each_strategy_needs_what_it_uses_and_nothing_else(strategy, left_out):
    document = yaml.safe_load(MINIMAL) | {"strategy": str(strategy)}
    document |= {} if strategy is Strategy.NONE else {"load-test": LOAD}
    document |= {"stages": {"blue-green": "100@5s", "mirror": "mirror:50@5s"}.get(strategy, "10@5s")}
    unused = {Strategy.NONE: {"stages", "slos"}, Strategy.PERFORMANCE: {"stages", "route", "primary"}}.get(
        strategy, set()
    )
    for name in ("stages",) if "stages" in unused else ():
        del document[name]
    document.pop(left_out, None)
    validator = jsonschema.Draft202012Validator(release_schema())
    if left_out in unused:
        assert parse_release(yaml.safe_dump(document)).strategy is strategy
        assert validator.is_valid(document)
    else:
        with pytest.raises(UsageError, match=f"release.yaml:1: {left_out} is missing"):
            parse_release(yaml.safe_dump(document))
        assert not validator.is_valid(document)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            "strategy: blue-green",
            "stages: strategy blue-green ends with all of the traffic on the candidate, not with 50; write 100@5m",
        ),
        ("strategy: mirror", "stages: strategy mirror begins with a mirror, not with 10; write mirror:50@5m"),
        ("strategy: none", "stages: strategy none has no stages; leave them out"),
        (
            "strategy: bluegreen",
            "strategy: 'bluegreen' is none of canary, blue-green, mirror, ab, none, performance; did you mean 'blue-green'?",
        ),
        ("load-test: {url: 127.0.0.1:8002}", "load-test.url: '127.0.0.1:8002' is not a URL"),
    ],
)
def test_a_strategy_that_does_not_go_with_the_rest_is_told_so(changed, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        parse_release(f"{MINIMAL}\n{changed}\n")


def test_a_load_test_needs_an_slo_that_it_can_tell():
    compared = MINIMAL.replace("limit: 1%", "margin: 10%")
    loaded = f"{compared}\nload-test: {{url: http://h:2/}}\n"
    with pytest.raises(UsageError, match="load-test: no SLO can be judged by a load test of the candidate alone"):
        parse_release(loaded)
    with pytest.raises(UsageError, match=r"slos[^:]*: a load test of one version cannot tell it"):
        parse_release(f"strategy: performance\n{loaded}".replace("stages: 10@20s,50@20s", ""))


METRICS = "metrics: {source: prometheus, url: 'http://h:9090', preset: istio, where: {ns: default}}\n"


def test_a_release_files_metrics_may_be_described_at_length():
    text = (Path(__file__).parents[2] / "examples" / "release.yaml").read_text()
    text = "\n".join(line for line in text.splitlines() if not line.startswith("metrics:")) + "\n"
    spec = parse_release(text + METRICS)
    assert json.loads(spec.metrics)["where"] == {"ns": "default"}
    assert parse_release(text + "metrics: envoy:./route\n").metrics == "envoy:./route"
    with pytest.raises(UsageError, match=r"metrics: bearer: a secret does not belong here"):
        parse_release(text + METRICS.replace("preset: istio", "preset: istio, bearer: hunter2"))
    with pytest.raises(UsageError, match=r"metrics: prest: there is no such field; did you mean 'preset'"):
        parse_release(text + METRICS.replace("preset", "prest"))


def test_files_of_a_source_mean_the_same_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("envoy:route?admin=http://h:1") == f"envoy:{tmp_path}/route?admin=http://h:1"
    assert absolute("prometheus:http://h:9090#preset=istio") == "prometheus:http://h:9090#preset=istio"
    described = json.dumps(
        {"requests": "envoy:route", "latency": {"source": "rest", "ca": "a.crt", "bearer": "file:t"}}
    )
    made = json.loads(absolute(described))
    assert made["requests"] == f"envoy:{tmp_path}/route"
    assert (made["latency"]["ca"], made["latency"]["bearer"]) == (f"{tmp_path}/a.crt", f"file:{tmp_path}/t")


def test_a_release_file_that_nobody_wrote_is_refused_unread(tmp_path):
    path = tmp_path / "release.yaml"
    path.write_text(MINIMAL + "#" * 1_000_000)
    with pytest.raises(UsageError, match=r"release.yaml is longer than 1,000,000 characters"):
        load_release(path)
