"""Covers: the exact request each kind of receiver gets, with its limits and escapes.

Leaves out: how it is delivered (test_delivery).
"""

import json
from dataclasses import replace

import pytest

from fairway_steps.errors import UsageError
from fairway_steps.notify.notice import Notice, cloud_event, github, slack
from fairway_steps.report.text import result
from fairway_steps.secrets import Secret
from sample_records import all_records, failing, running

URL = Secret("https://hooks.example/x", "env:HOOK")
API = Secret("https://api.github.com")
TOKEN = Secret("t0ken", "env:T")


def notice(record=None, message="v2 breaks its SLO.", title="iris: v2 was rolled back"):
    return Notice(result(record or failing()), message, title)


def test_slack():
    request = slack(notice(), URL)
    assert request.url is URL
    assert request.token is None
    assert request.body["text"] == "iris: v2 was rolled back: v2 breaks its SLO."
    header, said, fields, context = request.body["blocks"]
    assert header == {"type": "header", "text": {"type": "plain_text", "text": "↩️ iris: v2 was rolled back"}}
    assert said == {"type": "section", "text": {"type": "mrkdwn", "text": "v2 breaks its SLO."}}
    assert [field["text"] for field in fields["fields"]] == [
        "*Requests*\n1496",
        "*Failed*\nv2 29 (http-500)",
        "*Lost*\n0",
        "*Stages*\n1",
    ]
    assert context["elements"][0]["text"].startswith("release iris-20261123-090412-1, 2026-11-23T09:04:12")


def test_slack_gets_no_more_than_it_takes():
    request = slack(notice(message="<!channel> & " * 1000, title="x" * 500), URL)
    header, said, *_ = request.body["blocks"]
    assert len(header["text"]["text"]) == 150
    assert len(said["text"]["text"]) <= 3000
    assert "<" not in json.dumps(request.body)
    assert said["text"]["text"].startswith("&lt;!channel&gt; &amp; ")


def test_github():
    request = github(notice(), "acme/iris", "fairway-release", TOKEN, API)
    assert request.url.value == "https://api.github.com/repos/acme/iris/dispatches"
    assert request.token is TOKEN
    assert request.headers == {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    assert request.body["event_type"] == "fairway-release"
    payload = request.body["client_payload"]
    assert len(payload) == 10
    assert (payload["outcome"], payload["failed"], payload["message"]) == (
        "rolled-back",
        {"v1": {}, "v2": {"http-500": 29}},
        "v2 breaks its SLO.",
    )


def test_github_enterprise():
    request = github(notice(), "a/b", "e", TOKEN, Secret("https://ghe.example/api/v3/"))
    assert request.url.value == "https://ghe.example/api/v3/repos/a/b/dispatches"


@pytest.mark.parametrize("repository", ["acme", "acme/iris/x", "/iris", "acme/..", "a b/c", "a/b?x", "é/b", ""])
def test_a_repository_is_owner_and_name(repository):
    with pytest.raises(UsageError, match="is not OWNER/REPO"):
        github(notice(), repository, "e", TOKEN, API)


@pytest.mark.parametrize("event_type", ["", "x" * 101])
def test_an_event_type_has_its_length(event_type):
    with pytest.raises(UsageError, match="--event-type is"):
        github(notice(), "a/b", event_type, TOKEN, API)


def test_cloud_event():
    request = cloud_event(notice(), URL, TOKEN)
    event = request.body
    assert request.headers == {"Content-Type": "application/cloudevents+json"}
    assert {name: event[name] for name in event if name != "data"} == {
        "specversion": "1.0",
        "id": "iris-20261123-090412-1/rolled-back/1",
        "source": "/fairway/iris",
        "type": "fairway.release.rolled-back",
        "subject": "v2",
        "time": "2026-11-23T09:04:25.500Z",
        "datacontenttype": "application/json",
    }
    assert event["data"] == {**result(failing()), "message": "v2 breaks its SLO."}


def test_the_same_news_has_the_same_identity():
    again = replace(failing().noted(1.0, "notify", "undelivered", failed=True), holder="other")
    assert notice(again).identity == notice().identity
    assert notice(running()).identity != notice(replace(running(), timeline=(), results=())).identity


@pytest.mark.parametrize("name", all_records())
def test_every_ending_can_be_told(name):
    told = notice(all_records()[name])
    for request in (slack(told, URL), github(told, "a/b", "e", TOKEN, API), cloud_event(told, URL, None)):
        json.dumps(request.body, allow_nan=False)
