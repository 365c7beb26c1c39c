"""What a notice says, and how each kind of receiver wants to hear it. Pure: values in, one HTTP request out.

Slack: incoming webhooks with blocks and a text fallback (docs.slack.dev, "Sending messages using incoming webhooks",
"Formatting message text"). GitHub: ``POST /repos/OWNER/REPO/dispatches`` (docs.github.com, REST, "Create a repository
dispatch event": at most 10 properties in ``client_payload``). Others: CloudEvents 1.0 in the structured JSON mode.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from fairway_steps.errors import UsageError
from fairway_steps.secrets import Secret

GITHUB = "https://api.github.com"
SIGNS = {"promoted": "✅", "rolled-back": "↩️", "held": "⏸️", "broken": "🚨", "running": "⏳"}
SLACK_TEXT = 2900
EVENT_TYPE = 100


@dataclass(frozen=True, slots=True)
class Notice:
    """What to tell: ``summary`` is the release as a JSON object (``report.text.result``), ``message`` one or a few sentences.

    ``identity`` is the same for every delivery of the same news, so that a receiver can drop what it has already.
    """

    summary: Mapping[str, Any]
    message: str
    title: str

    @property
    def outcome(self) -> str:
        return str(self.summary["outcome"])

    @property
    def identity(self) -> str:
        return f"{self.summary['release_id']}/{self.outcome}/{len(self.summary['stages'])}"


@dataclass(frozen=True, slots=True)
class Request:
    """One POST. ``url`` may be secret; ``token`` is sent as a bearer token."""

    url: Secret
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    token: Secret | None = None


def slack(notice: Notice, url: Secret) -> Request:
    """The message for a Slack incoming webhook, whose URL is itself the secret."""
    summary = notice.summary
    sign = SIGNS.get(notice.outcome, "")
    fields = {
        "Requests": summary["requests"],
        "Failed": _failures(summary),
        "Lost": "not counted" if summary["lost"] is None else summary["lost"],
        "Stages": len(summary["stages"]),
    }
    texts = [{"type": "mrkdwn", "text": f"*{name}*\n{_mrkdwn(str(value))}"} for name, value in fields.items()]
    release = {
        "type": "mrkdwn",
        "text": _cut(_mrkdwn(f"release {summary['release_id']}, {summary['started']}"), SLACK_TEXT),
    }
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(f"{sign} {notice.title}".strip(), 150)}},
        {"type": "section", "text": {"type": "mrkdwn", "text": _cut(_mrkdwn(notice.message), SLACK_TEXT)}},
        {"type": "section", "fields": texts},
        {"type": "context", "elements": [release]},
    ]
    fallback = _cut(_mrkdwn(f"{notice.title}: {notice.message}"), SLACK_TEXT)
    return Request(url, {"text": fallback, "blocks": blocks})


def github(notice: Notice, repository: str, event_type: str, token: Secret, base: Secret) -> Request:
    """A ``repository_dispatch`` event. Raises UsageError for a repository that is not OWNER/REPO."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII) or {".", ".."} & set(repository.split("/")):
        raise UsageError(f"--repository {repository!r} is not OWNER/REPO")
    if not 0 < len(event_type) <= EVENT_TYPE:
        raise UsageError(f"--event-type is {len(event_type)} characters long", mend=f"GitHub takes 1 to {EVENT_TYPE}")
    summary = notice.summary
    payload = {name: summary[name] for name in ("release_id", "service", "outcome", "reason", "primary", "candidate")}
    payload |= {name: summary[name] for name in ("requests", "failed", "lost")} | {"message": notice.message}
    headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    url = Secret(f"{base.value.rstrip('/')}/repos/{repository}/dispatches", base.source)
    return Request(url, {"event_type": event_type, "client_payload": payload}, headers, token)


def cloud_event(notice: Notice, url: Secret, token: Secret | None) -> Request:
    """A CloudEvents 1.0 event in the structured mode; ``data`` is the summary with the message."""
    summary = notice.summary
    event = {
        "specversion": "1.0",
        "id": notice.identity,
        "source": f"/fairway/{quote(str(summary['service']))}",
        "type": f"fairway.release.{notice.outcome}",
        "subject": summary["candidate"],
        "time": summary["finished"] or summary["started"],
        "datacontenttype": "application/json",
        "data": {**summary, "message": notice.message},
    }
    return Request(url, event, {"Content-Type": "application/cloudevents+json"}, token)


def _failures(summary: Mapping[str, Any]) -> str:
    told = [
        f"{version} {count} ({name})"
        for version, classes in summary["failed"].items()
        for name, count in classes.items()
    ]
    return ", ".join(told) or "0"


def _mrkdwn(text: str) -> str:
    """Slack asks for these three characters to be escaped, and for no others."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
