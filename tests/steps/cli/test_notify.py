"""Covers: the notify command against real receivers: what arrives, an undelivered notice in the record and exit code 0,
--fail-on-error, --on, --dry-run, references to secrets and every wrong one.

Leaves out: retries (tests/steps/notify/test_delivery).
"""

import json

import pytest

from fairway_steps.cli import _run
from fairway_steps.codec import encode
from fairway_steps.record import FileStore
from sample_records import failing, promoted, running

HOOK = "/services/T0/B0/s3cret"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, record in {"failing": failing(), "promoted": promoted(), "running": running()}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(encode(record)))
    return tmp_path


def run(*args, record="failing"):
    return _run(["notify", "--record", f"file:{record}.json", *args])


def body(httpserver):
    ((request, _),) = httpserver.log
    return json.loads(request.data)


def events(folder):
    return FileStore(folder / "failing.json").load().events


def test_slack_is_told(folder, httpserver, monkeypatch, capsys):
    monkeypatch.setenv("SLACK", httpserver.url_for(HOOK) + "\n")
    httpserver.expect_oneshot_request(HOOK, method="POST").respond_with_data("ok")
    assert run("--to", "slack", "--url", "env:SLACK", "--out-dir", "o") == 0
    assert body(httpserver)["text"].startswith("iris: v2 was rolled back: v2 breaks its SLO: 29 of 113")
    assert (folder / "o" / "action").read_text() == "delivered"
    assert capsys.readouterr().out == "notice to slack delivered\n"
    assert events(folder) == ()


def test_github_is_told(folder, httpserver):
    (folder / "token").write_text("gh-t0ken\n")
    path = "/api/v3/repos/acme/iris/dispatches"
    headers = {"Authorization": "Bearer gh-t0ken", "Accept": "application/vnd.github+json"}
    httpserver.expect_oneshot_request(path, method="POST", headers=headers).respond_with_data("", 204)
    args = [
        "--to",
        "github",
        "--url",
        httpserver.url_for("/api/v3"),
        "--repository",
        "acme/iris",
        "--token-from",
        "file:token",
    ]
    assert run(*args, "--message", "look") == 0
    sent = body(httpserver)
    assert sent["event_type"] == "fairway-release"
    assert (sent["client_payload"]["outcome"], sent["client_payload"]["message"]) == ("rolled-back", "look")


def test_any_receiver_is_told(folder, httpserver):
    httpserver.expect_oneshot_request(
        "/events", method="POST", headers={"Content-Type": "application/cloudevents+json"}
    ).respond_with_data("", 202)
    (folder / "t.j2").write_text("{{ candidate }} is {{ outcome }}, {{ stages | length }} stages: {{ message }}")
    assert run("--to", "http", "--url", httpserver.url_for("/events"), "--template", "t.j2", record="promoted") == 0
    sent = body(httpserver)
    assert (sent["type"], sent["specversion"]) == ("fairway.release.promoted", "1.0")
    assert sent["data"]["message"] == "v2 is promoted, 3 stages: v2 met every SLO in all stages."


@pytest.mark.parametrize(("fail", "code"), [("false", 0), ("true", 1)])
def test_an_undelivered_notice_is_in_the_record_and_changes_nothing(
    folder, httpserver, monkeypatch, capsys, fail, code
):
    monkeypatch.setenv("SLACK", httpserver.url_for(HOOK))
    httpserver.expect_request(HOOK).respond_with_data("", 403)
    before = FileStore(folder / "failing.json").load()
    assert run("--to", "slack", "--url", "env:SLACK", "--fail-on-error", fail, "--out-dir", "o") == code
    assert (folder / "o" / "action").read_text() == "undelivered"
    after = FileStore(folder / "failing.json").load()
    (event,) = after.events
    assert (event.step, event.failed) == ("notify", True)
    assert event.message == "notice to slack undelivered: the receiver answered 403 (tried once)"
    assert (after.outcome, after.reason, after.finished) == (before.outcome, before.reason, before.finished)
    told = capsys.readouterr()
    assert "s3cret" not in told.out + told.err + (folder / "failing.json").read_text()


def test_a_silent_receiver_costs_no_more_than_the_timeout(folder, silent_server):
    assert run("--to", "http", "--url", f"{silent_server}/x", "--timeout", "300ms") == 0
    assert events(folder)[0].message.startswith(
        f"notice to http ({silent_server.removeprefix('http://')}) undelivered: "
    )


def test_the_record_being_fenced_changes_nothing_either(folder, unused_port, capsys):
    record = json.loads((folder / "failing.json").read_text()) | {"token": 5}
    (folder / "failing.json").write_text(json.dumps(record))
    assert run("--to", "http", "--url", f"http://127.0.0.1:{unused_port}", "--timeout", "300ms", "--token", "5") == 0
    assert len(events(folder)) == 1
    (folder / "failing.json.lock").unlink()
    (folder / "failing.json.lock").mkdir()
    assert run("--to", "http", "--url", f"http://127.0.0.1:{unused_port}", "--timeout", "300ms") == 0
    assert "the record could not be told either" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("record", "on", "told"),
    [("failing", "rolled-back,held", 1), ("promoted", "rolled-back,held", 0), ("running", "held", 0)],
)
def test_on(folder, httpserver, capsys, record, on, told):
    httpserver.expect_request("/e").respond_with_data("")
    assert run("--to", "http", "--url", httpserver.url_for("/e"), "--on", on, record=record) == 0
    assert len(httpserver.log) == told
    assert ("nothing to tell" in capsys.readouterr().out) is (told == 0)


def test_a_dry_run_shows_the_request_without_its_secrets_and_sends_nothing(folder, httpserver, monkeypatch, capsys):
    monkeypatch.setenv("SLACK", httpserver.url_for(HOOK))
    monkeypatch.setenv("TOKEN", "t0ken")
    assert (
        run("--to", "slack", "--url", "env:SLACK", "--message", f"see {httpserver.url_for(HOOK)}", "--dry-run", "true")
        == 0
    )
    told = capsys.readouterr().out
    shown = json.loads(told)
    assert shown["url"] == "*** (env:SLACK)"
    assert shown["body"]["blocks"][1]["text"]["text"] == "see ***"
    args = ["--to", "github", "--repository", "a/b", "--token-from", "env:TOKEN", "--message", "t0ken"]
    assert run(*args, "--dry-run", "true") == 0
    told += capsys.readouterr().out
    assert '"url": "https://api.github.com/repos/a/b/dispatches"' in told
    assert '"Authorization": "Bearer ***"' in told
    assert "s3cret" not in told
    assert "t0ken" not in told
    assert httpserver.log == []


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--to", "slack", "--url", "https://hooks.slack.com/s3cret"], "--url: a Slack webhook's URL is a secret"),
        (["--to", "slack"], "--url is missing"),
        (["--to", "slack", "--url", "env:NOT_THERE"], "the environment variable NOT_THERE is not set"),
        (["--to", "slack", "--url", "env:"], "--url is not a reference; write env:NAME or file:PATH"),
        (["--to", "slack", "--url", "file:none"], "none cannot be read"),
        (["--to", "slack", "--url", "file:empty"], "the file empty is empty"),
        (["--to", "slack", "--url", "env:PLAIN"], "--url env:PLAIN: a secret would travel unencrypted; use https"),
        (["--to", "slack", "--url", "env:WORD"], "--url env:WORD: that is not an http(s) URL"),
        (["--to", "slack", "--url", "env:PORT"], "--url env:PORT: that is not a URL"),
        (["--to", "http", "--url", "s3cret"], "--url is not a reference; write env:NAME or file:PATH"),
        (["--to", "http", "--url", "https://me:s3cret@x.example/"], "--url: there is a password in it"),
        (["--to", "http", "--url", "http://x", "--token-from", "s3cret"], "--token-from is not a reference"),
        (["--to", "github", "--repository", "a/b"], "--token-from is missing"),
        (["--to", "github", "--token-from", "env:WORD"], "--repository is missing"),
        (["--to", "github", "--repository", "a", "--token-from", "env:WORD"], "--repository 'a' is not OWNER/REPO"),
        (["--to", "http", "--url", "http://x", "--template", "none"], "none cannot be read"),
        (
            ["--to", "http", "--url", "http://x", "--template", "wrong"],
            "template wrong cannot be rendered: 'nope' is undefined",
        ),
        (["--to", "http", "--url", "http://x", "--on", "hold"], "'--on': 'hold' is no outcome; did you mean 'held'?"),
        (["--to", "carrier-pigeon"], "carrier-pigeon"),
    ],
)
def test_bad_input_is_one_sentence_without_a_secret(folder, monkeypatch, capsys, args, sentence):
    (folder / "empty").write_text("\n")
    (folder / "wrong").write_text("{{ nope }}")
    for name, value in {"PLAIN": "http://hooks.example/s3cret", "WORD": "s3cret", "PORT": "https://x:s3cret/"}.items():
        monkeypatch.setenv(name, value)
    assert run(*args) == 2
    told = capsys.readouterr()
    assert sentence in told.err
    assert told.err.count("\n") == 1
    assert "s3cret" not in told.err + told.out
    assert events(folder) == ()
