"""``fairway notify``."""

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from fairway_steps.cli.params import DURATION_TYPE, FLAG, OUTCOMES, option
from fairway_steps.cli.secret import secret
from fairway_steps.cli.step import Answer, logger, step
from fairway_steps.cli.wiring import CLOCK, lease, needed, record_store, release_options
from fairway_steps.config import read_file
from fairway_steps.errors import FairwayError, UsageError
from fairway_steps.model import Outcome
from fairway_steps.outputs import Output
from fairway_steps.record import Lease, Record, RecordStore, amend, required

if TYPE_CHECKING:
    from fairway_steps.notify.notice import Notice, Request
    from fairway_steps.secrets import Secret

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@step(
    "notify",
    image="core",
    cluster=False,
    outputs=[Output("action", "none", "`delivered`, or `undelivered`; `none` if there was nothing to tell.")],
    mutates=True,
    failure="the notice was not delivered and --fail-on-error is true",
    example="fairway notify --record file:.fairway/iris.json --to slack --url env:SLACK_WEBHOOK_URL\n"
    "fairway notify --record file:.fairway/iris.json --to github --repository acme/iris --token-from file:/run/token",
)
@option("to", click.Choice(["slack", "github", "http"]), required=True, help="What kind of receiver it is.")
@option("url", help="Its URL as env:NAME or file:PATH, or as such where it is no secret. For github: the API's base.")
@option("token-from", help="Where the bearer token lies: env:NAME or file:PATH.")
@option("repository", help="github: OWNER/REPO.")
@option("event-type", default="fairway-release", help="github: the event's type.")
@option("on", OUTCOMES, help="Tell only of these outcomes, such as rolled-back,held,broken.")
@option("message", help="What to say instead of the release's reason.")
@option(
    "template", help="A file with a Jinja2 template of the message; it may use all that `report --output json` has."
)
@option("timeout", DURATION_TYPE, default="30s", help="How long to try at most.")
@option("fail-on-error", FLAG, default="false", help="Exit 1 if the notice cannot be delivered.")
@release_options
def notify(
    to: str,
    url: str | None,
    token_from: str | None,
    repository: str | None,
    event_type: str,
    on: frozenset[Outcome] | None,
    message: str | None,
    template: str | None,
    timeout: float,
    fail_on_error: bool,
    record: str,
    release_id: str | None,
    token: int | None,
    dry_run: bool,
) -> Answer:
    """Tell Slack, GitHub (repository_dispatch) or any HTTP receiver (CloudEvents) how a release stands.

    A receiver that is down, slow or wrong never changes the outcome: the step then ends with `undelivered` and exit
    code 0, and notes it in the record for the report. Secrets are given by reference alone.
    """
    from fairway_steps.notify.delivery import deliver

    store, held = record_store(record), lease(release_id, token)
    found = required(store, held)
    request = _request(to, url, token_from, repository, event_type, _notice(found, message, template))
    if on and found.outcome not in on:
        return Answer({"action": "none"}, text=f"nothing to tell: the release is {found.outcome or 'running'}")
    if dry_run:
        shown = _shown(request)
        return Answer({"action": "none"}, shown, json.dumps(shown, indent=2, ensure_ascii=False))
    delivery = deliver(request, CLOCK, timeout=timeout)
    if delivery.delivered:
        return Answer({"action": "delivered"}, text=f"notice to {to} delivered")
    problem = f"notice to {_named(to, request)} undelivered: {delivery.problem} ({_tried(delivery.attempts)})"
    logger().warning(problem)
    _note(store, held, problem)
    return Answer({"action": "undelivered"}, text=problem, exit_code=1 if fail_on_error else 0)


def _notice(record: Record, message: str | None, template: str | None) -> "Notice":
    from fairway_steps.notify.notice import Notice
    from fairway_steps.report.text import result
    from fairway_steps.report.view import headline, reason

    summary, said = result(record), message or reason(record)
    if template:
        from fairway_steps.notify.template import render

        said = render(read_file(template), {**summary, "message": said}, template)
    return Notice(summary, said, f"{record.service}: {headline(record)}")


def _request(
    to: str, url: str | None, token_from: str | None, repository: str | None, event_type: str, notice: "Notice"
) -> "Request":
    from fairway_steps.notify import notice as kinds

    token = secret("--token-from", token_from) if token_from else None
    if to == "slack":
        return kinds.slack(notice, _url(needed(url, "url", f"--to {to} needs it"), literal=False, encrypted=True))
    if to == "http":
        return kinds.cloud_event(notice, _url(needed(url, "url", f"--to {to} needs it")), token)
    if token is None:
        raise UsageError("--token-from is missing", mend="name the GitHub token by env:NAME or file:PATH")
    base = _url(url or kinds.GITHUB, encrypted=True)
    return kinds.github(notice, needed(repository, "repository", "write OWNER/REPO"), event_type, token, base)


def _url(reference: str, *, literal: bool = True, encrypted: bool = False) -> "Secret":
    """The URL behind a reference; its sentences never repeat it, for it may be a secret."""
    from fairway_steps.secrets import Secret

    given = reference.lower().startswith(("http:", "https:"))
    if given and not literal:
        raise UsageError(
            "--url: a Slack webhook's URL is a secret, and arguments can be read by others",
            mend="put it into a variable or a file and write env:NAME or file:PATH",
        )
    found = Secret(reference, "") if given else secret("--url", reference)
    where = f"--url {found.source}".strip()
    try:
        parts = urlsplit(found.value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{where}: that is not a URL") from error
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"{where}: that is not an http(s) URL")
    if given and (parts.username or parts.password):
        raise UsageError(f"{where}: there is a password in it", mend="give the whole URL by env:NAME or file:PATH")
    if encrypted and parts.scheme != "https" and host not in LOOPBACK:
        raise UsageError(f"{where}: a secret would travel unencrypted", mend="use https")
    return found


def _shown(request: "Request") -> dict[str, object]:
    """The request as it would be sent, without its secrets."""
    from fairway_steps.secrets import STARS, scrub

    hidden = request.url if request.url.source else None
    body = json.loads(scrub(json.dumps(request.body, ensure_ascii=False), hidden, request.token))
    bearer = {"Authorization": f"Bearer {STARS}"} if request.token else {}
    url = f"{STARS} ({request.url.source})" if hidden else scrub(request.url.value, request.token)
    return {"method": "POST", "url": url, "headers": {**request.headers, **bearer}, "body": body}


def _named(to: str, request: "Request") -> str:
    if to != "http":
        return to
    return f"http ({request.url.source or urlsplit(request.url.value).netloc})"


def _tried(attempts: int) -> str:
    return "tried once" if attempts == 1 else f"tried {attempts} times"


def _note(store: RecordStore, held: Lease, problem: str) -> None:
    """Into the record, for the report; if that fails too, the log has it."""
    try:
        amend(store, held, lambda found: found.noted(CLOCK.now(), "notify", problem, failed=True))
    except FairwayError as error:
        logger().warning("the record could not be told either: %s", error)
