"""Which URI opens which metric source, and which opens none."""

import json
from urllib.parse import unquote

import pytest

from fairway_steps.errors import UsageError
from fairway_steps.metrics.combined import CombinedSource
from fairway_steps.metrics.mirrored import MirroredSource
from fairway_steps.metrics.names import workload
from fairway_steps.metrics.presets import ENVOY, chosen
from fairway_steps.metrics.prometheus import PrometheusSource
from fairway_steps.metrics.registry import Around, beside_collector, open_source
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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prometheus:http://h:9090#preset=istoi", "no preset 'istoi'; did you mean 'istio'"),
        ("prometheus:http://h:9090#preset=istio&requests=r", "the preset istio has its own requests"),
        ("prometheus:http://h:9090#preset=triton&latency=ttft", "no latency 'ttft'"),
        ("prometheus:http://h:9090/api/v1#preset=istio", "goes too far"),
        ("prometheus:http://h:9090#lable=v", "did you mean 'label'"),
        ("prometheus:http://h:9090#requests=a b&label=v", "not the name of a metric"),
        ("prometheus:http://h:9090#requests=a&label=v-1", "not the name of a label"),
        ("prometheus:http://h:9090#requests=a&label=v&value=$nmae", "names the variable"),
        ("prometheus:http://h:9090#requests=a&label=v&value=%3D~(", "no regular expression"),
        ("prometheus:http://h:9090#requests=a&label=v&unit=h", "none of s, ms, us, ns"),
        ("prometheus:http://u:p@h:9090#preset=istio", "a password in the address"),
        ("prometheus:http://h:9090#preset=istio&bearer=hunter2", "a secret does not belong here"),
        ("prometheus:http://h:9090#preset=istio&headers.Authorization=x", "a secret does not belong here"),
        ("prometheus:http://h:9090#preset=istio&bearer=env:TOKEN", "would travel to h unencrypted"),
        ("{source: prometheus, url: 'http://h', queries: {requests: 'sum(r)'}}", "same series for every version"),
        (
            "{source: prometheus, url: 'http://h', queries: {requests: 'r{v=\"$version\"}', latencies: {t: 'sum by (le) (t{v=\"$version\"})'}}}",
            "the query for the t makes one series of several by sum",
        ),
        (
            "{source: prometheus, url: 'http://h', queries: {requests: 'r{v=\"$version\"} * 2', series: {g: 'g{v=\"$version\"}'}}}",
            "the queries ask for values of now, of which nothing shows how often they are new; write scrape-interval: 15s",
        ),
        ("{source: prometheus, url: 'http://h', preset: istio, queries: {requests: 'r'}}", "and not both"),
        ("{source: prometheus}", "url is missing"),
        ("{source: mysql, url: 'http://h'}", "none of prometheus, scrape, rest"),
        ("{requests: {source: prometheus}, latency: x}", "url is missing"),
        ("{requests: x}", "requests: and latency:"),
        ("{users: x}", "users: and mirrored:"),
        ("{users: x, mirrored: {source: prometheus}}", "url is missing"),
        (
            "{source: rest, url: 'http://h/$version', paths: {requests: .n, users: .u}}",
            "rewards take users, reward and",
        ),
        (
            "{source: rest, url: 'http://h/$version', paths: {requests: .n, series: {A b: .x}}}",
            "series.A b: it is no name",
        ),
        (
            "{source: rest, url: 'http://h/$version', paths: {requests: .n, latencies: {TTFT: .x}}}",
            "latencies.TTFT: it is no name",
        ),
        (
            "{source: prometheus, url: 'http://h', queries: {requests: 'r{v=\"$version\"}', latencies: {ttft: t}}}",
            "the query for the ttft selects the same series for every version",
        ),
        (
            "{source: prometheus, url: 'http://h', queries: {requests: 'r{v=\"$version\"}', series: {g: g}}}",
            "the g selects",
        ),
        ("{source: rest, url: 'http://h/$version'}", "needs paths: with requests:"),
        ("{source: rest, url: 'http://h/', paths: {requests: .n}}", "the same for every version"),
        ("{source: rest, url: 'http://h/$version', paths: {requests: n}}", "is no path"),
        ("{source: rest, url: 'http://h/$version', counts: window, paths: {requests: .n}}", "name \\$start and \\$end"),
        ("{source: rest, url: 'http://h/$verzion', paths: {requests: .n}}", "same for every version|not known"),
        ("file:/no/such/file", "cannot be read"),
    ],
)
def test_a_description_that_cannot_be_is_one_sentence_without_a_secret(text, says):
    with pytest.raises(UsageError, match=says) as caught:
        open_source(text, "iris")
    assert "hunter2" not in str(caught.value)


def test_requests_and_latencies_may_come_from_two_sources(tmp_path):
    text = "{requests: 'scrape:http://h:1/m#requests=r&label=v', latency: {source: scrape, url: 'http://h:2', preset: kserve}}"
    source = open_source(text, "iris")
    assert isinstance(source, CombinedSource)
    assert isinstance(source.latency, ScrapeSource)
    (tmp_path / "metrics.yaml").write_text(text)
    assert isinstance(open_source(f"file:{tmp_path}/metrics.yaml", "iris"), CombinedSource)


def test_of_two_sources_the_second_alone_tells_further_latencies():
    text = "{requests: 'prometheus:http://h:1#preset=istio', latency: 'scrape:http://h:2#preset=vllm'}"
    source = open_source(text, "iris", Around(latencies=["time-to-first-token"]))
    assert isinstance(source, CombinedSource)
    assert isinstance(source.latency, ScrapeSource)
    assert list(source.latency.names.latencies) == ["time-to-first-token"]


@pytest.mark.parametrize(
    "text",
    [
        "{source: prometheus, url: 'http://h', queries: {requests: 'r{v=\"$version\"}', latencies: {ttft: 't{v=\"$version\"}'}}}",
        "{source: rest, url: 'http://h/$version', paths: {requests: .n, latencies: {ttft: .t}}}",
    ],
)
def test_a_latency_that_an_slo_is_about_and_no_query_tells_is_refused(text):
    assert open_source(text, "iris", Around(latencies=["ttft"]))
    with pytest.raises(UsageError, match="the source has no latency 'tfft'; did you mean 'ttft'"):
        open_source(text, "iris", Around(latencies=["tfft"]))


@pytest.mark.parametrize(
    "users",
    [
        "prometheus:http://h:9090#preset=istio",
        "{source: prometheus, url: 'http://h:9090', preset: istio}",
        "{requests: 'scrape:http://h:1/m#preset=envoy', latency: 'scrape:http://h:2/m#preset=kserve'}",
    ],
)
def test_a_collector_stands_beside_what_counts_users(users):
    source = open_source(beside_collector(users, "http://c:8090/"), "iris")
    assert isinstance(source, MirroredSource)
    assert type(source.users) is type(open_source(users, "iris"))
    assert source.mirrored.url == "http://c:8090/metrics"
    assert source.mirrored.names == chosen("collector")


def test_a_source_that_has_a_collector_s_counts_already_stays(tmp_path):
    own = "{users: 'prometheus:http://h:9090#preset=istio', mirrored: 'prometheus:http://h:9090#preset=collector'}"
    (tmp_path / "metrics.yaml").write_text(own)
    alone = "{source: prometheus, url: 'http://h', preset: collector}"
    for text in (own, f"file:{tmp_path}/metrics.yaml", "scrape:http://c:1/metrics#preset=collector", alone):
        assert beside_collector(text, "http://c:8090") == text


@pytest.mark.parametrize(
    ("preset", "uris", "expected"),
    [
        ("kserve", ["deployment/a/iris-v1", "deployment/a/iris-v2?service=x"], {"namespace": "a"}),
        ("kserve", ["deployment/a/iris-v1", "serving.kserve.io/v1beta1/InferenceService/b/i"], {"namespace": "=~a|b"}),
        ("kserve", ["http://h:1", "http://h:2"], {}),
        ("kserve&where.namespace=", ["deployment/a/iris-v1"], {"namespace": ""}),
        ("istio", ["deployment/a/iris-v1"], {"reporter": "source", "destination_workload_namespace": "a"}),
        ("envoy-gateway", ["deployment/a/iris-v1"], {}),
    ],
)
def test_versions_are_looked_for_in_their_own_namespace(preset, uris, expected):
    around = Around({uri: Version(uri, uri) for uri in uris})
    source = open_source(f"prometheus:http://h:9090#preset={preset}", "iris", around)
    assert isinstance(source, PrometheusSource)
    assert source.plan.names.where == expected
