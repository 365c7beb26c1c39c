"""A user's own words for a notice: a Jinja2 template in a sandbox, with a bound on what it may write."""

from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment

from fairway_steps.errors import UsageError

LONGEST = 10_000


def render(template: str, values: Mapping[str, Any], where: str) -> str:
    """The text of ``template`` with ``values``; a name that is not among them is an error. Raises UsageError.

    The sandbox keeps a template from Python's internals (Jinja, "Sandbox"); text past ``LONGEST`` characters is refused.
    """
    environment = SandboxedEnvironment(undefined=StrictUndefined)
    text = ""
    try:
        for piece in environment.from_string(template).generate(**values):
            text += piece
            if len(text) > LONGEST:
                raise UsageError(f"template {where} writes more than {LONGEST:,} characters", mend="make it shorter")
    except TemplateSyntaxError as error:
        raise UsageError(f"template {where} has a mistake in line {error.lineno}: {error.message}") from error
    except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise UsageError(
            f"template {where} cannot be rendered: {error}", mend=f"it may use {', '.join(sorted(values))}"
        ) from error
    return text.strip()
