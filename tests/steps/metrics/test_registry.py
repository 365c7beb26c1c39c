"""Which URI opens which metric source, and which opens none."""

import json
from urllib.parse import unquote

import pytest

from fairway_steps.errors import UsageError
from fairway_steps.metrics.names import workload
from fairway_steps.metrics.presets import ENVOY
from fairway_steps.metrics.registry import open_source
from fairway_steps.metrics.samples import SamplesSource
from fairway_steps.metrics.scrape import ScrapeSource
from fairway_steps.model import Version


def test_an_envoy_folder_names_its_admin_interface(tmp_path):
    socket = {"socket_address": {"address": "0.0.0.0", "port_value": 9901}}
    (tmp_path / "bootstrap.json").write_text(json.dumps({"admin": {"address": socket}}))
    source = open_source(f"envoy:{tmp_path}", "iris.eu")
    assert isinstance(source, ScrapeSource)
    assert unquote(source.url).startswith(r"http://127.0.0.1:9901/stats/prometheus?filter=^cluster\.iris_eu/")
    assert source.names is ENVOY


def test_an_admin_interface_can_be_given(tmp_path):
    source = open_source(f"envoy:{tmp_path}?admin=http://10.0.0.1:1/", "iris")
    assert isinstance(source, ScrapeSource)
    assert source.url.startswith("http://10.0.0.1:1/stats/prometheus?")


def test_a_scraped_endpoint_keeps_its_query_and_not_the_fragment():
    source = open_source("scrape:http://h:1/m?a=b#requests=r&label=v", "iris")
    assert isinstance(source, ScrapeSource)
    assert (source.url, source.names.requests) == ("http://h:1/m?a=b", ("r",))


def test_a_load_tests_file(tmp_path):
    assert isinstance(open_source(f"samples:{tmp_path}/a.npz", "iris"), SamplesSource)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("nagios:http://h", "write envoy:DIR, scrape:URL, prometheus:URL"),
        ("", "no kind"),
        ("envoy:", "no kind"),
        ("samples:", "no kind"),
        ("scrape:file:///etc/passwd#requests=a&label=b", "no address"),
        ("scrape:http://h:1/m", "needs requests"),
        ("envoy:/no/such/folder", "no folder"),
        ("envoy:/tmp?admn=http://h:1", "write envoy:DIR or"),
        ("envoy:/tmp?admin=h:1", "not http://HOST:PORT"),
    ],
)
def test_anything_else_is_refused_with_what_would_do(uri, says):
    with pytest.raises(UsageError, match=says):
        open_source(uri, "iris")


@pytest.mark.parametrize("text", [None, "{", "{}", '{"admin": {"address": "x"}}'])
def test_a_folder_that_does_not_tell_its_admin_interface(tmp_path, text):
    if text is not None:
        (tmp_path / "bootstrap.json").write_text(text)
    with pytest.raises(UsageError, match=r"add \?admin="):
        open_source(f"envoy:{tmp_path}", "iris")


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("deployment/ns/iris-v2", "iris-v2"),
        ("deployment/ns/iris-v2?service=iris-two&port=80&url=http://h/v1", "iris-v2"),
        ("http://127.0.0.1:8001/iris", ""),
    ],
)
def test_a_version_is_the_object_that_its_uri_names(uri, name):
    assert workload(Version("v2", uri)) == name
