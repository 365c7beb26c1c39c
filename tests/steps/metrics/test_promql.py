"""PromQL as text: selectors, and users' queries with a version put in that can never become a part of the query.

Whether Prometheus takes them: tests/contract/test_metric_source.py.
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.errors import UsageError
from fairway_steps.metrics.names import Matcher, variables
from fairway_steps.metrics.presets import PRESETS
from fairway_steps.metrics.promql import STRING, aggregation, is_selector, selector, substituted, tells_versions
from fairway_steps.metrics.queries import check_counters, check_queries
from fairway_steps.model import NAME

KNOWN = variables("iris", "v2.1", "iris-v2.1")


def test_a_selector_of_several_metrics_and_versions():
    asked = [Matcher("v", ("v1",)), Matcher("v", ("v2.1",))]
    text = selector(["a", "b"], {"ns": "x", "pod": "=~p.*"}, asked)
    assert text == r'{__name__=~"a|b",ns="x",pod=~"p.*",v=~"v1|v2\\.1"}'
    assert selector(["a"], {}, []) == '{__name__="a"}'
    assert selector(["a"], {"x": 'q"\\\n'}, []) == r'{__name__="a",x="q\"\\\n"}'


@pytest.mark.parametrize(
    ("query", "made"),
    [
        ('r{v="$version"}', 'r{v="v2.1"}'),
        ("r{v='${version}-x'}", "r{v='v2.1-x'}"),
        ('r{v=~"$version.*"}', r'r{v=~"v2\\.1.*"}'),
        ("r{v=~`$version.*`}", r"r{v=~`v2\.1.*`}"),
        ('r{v!~"$workload"}', r'r{v!~"iris-v2\\.1"}'),
        ('r{v=~"x$"} # $version', 'r{v=~"x$"} # $version'),
        (r'r{v=~"a\\.b$version"}', r'r{v=~"a\\.bv2\\.1"}'),
        ('sum by (le) (r{s="$service"})', 'sum by (le) (r{s="iris"})'),
    ],
)
def test_a_version_is_put_into_quoted_strings(query, made):
    assert substituted(query, KNOWN) == made


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("r{v=$version}", "outside quotes"),
        ("$version", "outside quotes"),
        ('r{v="$verzion"}', "names the variable"),
    ],
)
def test_variables_elsewhere_or_of_other_names_are_refused(query, says):
    with pytest.raises(UsageError, match=says):
        substituted(query, KNOWN)


@pytest.mark.parametrize("version", ['v"} or x{a="', "v2\\", "v`", "v 2", "V2", ""])
def test_what_is_no_name_is_never_put_in(version):
    with pytest.raises(UsageError, match="is not a name"):
        substituted('r{v="$version"}', {**KNOWN, "version": version})


@given(
    st.from_regex(NAME, fullmatch=True).filter(str.isascii), st.sampled_from(["=", "=~", "!~"]), st.sampled_from("\"'`")
)
def test_whatever_a_version_is_called_the_query_keeps_its_form(name, operator, mark):
    made = substituted(f"r{{v{operator}{mark}$version{mark}}}", {**KNOWN, "version": name})
    strings = re.findall(STRING, made)
    assert len(strings) == 1
    assert made.replace(strings[0], "") == f"r{{v{operator}}}"
    if "~" in operator:
        pattern = strings[0][1:-1] if mark == "`" else strings[0][1:-1].replace("\\\\", "\\")
        assert re.fullmatch(pattern, name)
        assert not re.fullmatch(pattern, name.replace(".", "x") + "y")


@pytest.mark.parametrize(
    ("query", "selects"),
    [
        ("r", True),
        ("job:r:sum", True),
        ('r{a="}", b=~"x"}', True),
        ('{__name__=~"a|b"}', True),
        ("sum(r)", False),
        ("r[5m]", False),
        ("r offset 1m", False),
        ("r or s", False),
        ("1", False),
        ("", False),
    ],
)
def test_selectors_are_told_from_other_queries(query, selects):
    assert is_selector(query) is selects


@pytest.mark.parametrize(
    ("query", "operator"),
    [
        ('sum(r{v="$version"})', "sum"),
        ('0.3 * (SUM by (le) (r{v="$version"}) or vector(0))', "SUM"),
        ('max without(pod) (r{v="$version"})', "max"),
        ("sum # of all\n (r{v='$version'})", "sum"),
        ('job:requests:sum{v="$version"}', ""),
        ('r{v="$version", sum="count(x)"} * 2 # sum(r)', ""),
        ('label_replace(r{v="$version"}, "a", "$1", "b", "(sum) by (.*)")', ""),
        ('count{v="$version"} or on(sum) max{v="$version"}', ""),
    ],
)
def test_counters_that_are_made_one_are_refused(query, operator):
    assert aggregation(query) == operator
    if not operator:
        check_counters({"requests": query})
        return
    with pytest.raises(
        UsageError,
        match=f"requests makes one series of several by {operator}.*write the selector alone, and `aggregate: sum`",
    ):
        check_counters({"requests": query})


def test_a_query_must_say_something_of_the_version():
    assert tells_versions('r{v="$version"}')
    assert tells_versions('r{v="${workload}"}')
    with pytest.raises(UsageError, match="the query for the requests selects the same series for every version"):
        check_queries({"requests": 'r{s="$service"}'})


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_a_selector(name):
    names = PRESETS[name].names
    text = selector(names.counters, names.where, [names.ask("iris", "v1", "", ["10.0.0.1:80"])])
    assert is_selector(text)
    assert names.requests[0] in text
