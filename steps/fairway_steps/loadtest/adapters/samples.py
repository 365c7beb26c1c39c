"""A foreign run of which every request is known, as a result of our own: the file of samples then is the same."""

from typing import Any

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.foreign import Foreign
from fairway_steps.loadtest.result import Meta, Result, result_of


def to_result(run: Foreign) -> Result:
    """Raises UsageError for a run without raw values."""
    rows = run.rows
    if rows is None:
        raise UsageError(f"the file of {run.tool} has no single requests, so there are no samples to write")
    columns: dict[str, Any] = {
        "scheduled_ns": rows.scheduled,
        "sent_ns": rows.sent,
        "end_ns": rows.end,
        "status": rows.status,
        "error": rows.error,
        "version": [0] * len(rows),
        "upstream": [-1] * len(rows),
        "endpoint": [0] * len(rows),
    }
    if run.tokens is not None:
        told = run.tokens
        columns |= {"events": told.events, "output_tokens": told.output, "event_ns": told.moments}
        columns |= {"prompt_tokens": told.prompt, "reasoning": [0] * len(rows)}
    meta = Meta(
        started=run.started,
        rate=run.requested_rate,
        error_names=rows.errors,
        version_names=("",),
        client_limited=run.limited,
        tool=run.tool,
        co_corrected=run.corrected,
    )
    return result_of(columns, meta)
