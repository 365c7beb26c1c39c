"""What may be shown of a URL, and that sources of evidence show no more, whatever goes wrong.

Left out: secrets in headers (metrics/test_rest.py), in notices (notify/), in load tests (loadtest/).
"""

import json

import pytest

from fairway_steps.errors import FairwayError
from fairway_steps.metrics.registry import Around, open_source
from fairway_steps.secrets import address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h:1/m?token=t", "http://h:1/m"),
        ("http://h:1?token=t@x/y#z", "http://h:1"),
        ("https://user:word@h/a/@b#token=t", "https://h/a/@b"),
        ("grpc://h:1/a.B/C", "grpc://h:1/a.B/C"),
        ("prometheus:http://u:p@h", "prometheus:http://h"),
        ("not a URL", "not a URL"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url, shown):
    assert address(url) == shown


ROWS = {"source": "rest", "paths": {"requests": ".n"}, "body": {"password": "s3cr3t-b", "version": "$version"}}
SCRAPED = "scrape:{url}#requests=r&label=v"


@pytest.mark.parametrize("text", ["", '{"n": "many"}', '{"n": -1}', "[]", "r{v="])
@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.parametrize("kind", ["rest", "scrape"])
def test_no_trouble_with_a_source_shows_its_query_or_its_body(httpserver, kind, status, text):
    httpserver.expect_request("/m").respond_with_data(text, status=status)
    url = f"{httpserver.url_for('/m')}?key=s3cr3t-q"
    source = open_source(json.dumps(ROWS | {"url": url}) if kind == "rest" else SCRAPED.format(url=url), "iris")
    told = []
    for call in (lambda: source.read(["v1"], {"v1": 100}, "", 1.0).problem, lambda: source.inspect(["v1"], 1.0)):
        try:
            told.append(str(call()))
        except FairwayError as error:
            told.append(str(error))
    assert httpserver.url_for("/m") in "".join(told)
    assert "s3cr3t" not in "".join(told)


@pytest.mark.parametrize(
    "text",
    [
        "rest:http://h/m?key=s3cr3t",
        "scrape:h:1?key=s3cr3t",
        "scrape:http:/h?key=s3cr3t#requests=r&label=v",
        "scrape:http://h/m?key=s3cr3t#requests=r&label=v&unit=weeks",
        "prometheus:http://h/api/v1?key=s3cr3t#preset=istio",
        "prometheus:http://h?key=s3cr3t#preset=istio",
        "prometheus:http://user:s3cr3t@h#preset=istio",
    ],
)
def test_no_refusal_of_a_source_shows_its_query(text):
    with pytest.raises(FairwayError) as refused:
        open_source(text, "iris", Around())
    assert "s3cr3t" not in str(refused.value)
