"""Bodies from a user's template: Jinja2 in its sandbox, in a process of its own with bounds on its time and memory.

A sandbox keeps a template from Python's internals, not from looping for ever or filling the memory (Jinja, "Sandbox", security
considerations); the bounds of a process do. The same seed gives the same bodies.
"""

import json
import random
import resource
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.payloads import encoded

CPU_SECONDS = 10
SECONDS = 60.0
MEMORY = 2 * 1024**3
LONGEST = 10_000_000
NAMES = ("index", "row", "randint", "uniform", "choice", "word", "uuid")


def render(template: str, rows: Sequence[Any], variants: int, seed: int) -> list[bytes]:
    """``variants`` bodies, or one for each of the ``rows`` if there are more of these.

    A template may use ``index``, ``row`` (an entry of the data set) and ``randint(low, high)``, ``uniform(low, high)``, ``choice(list)``,
    ``word(length)``, ``uuid()``. Raises UsageError for one that is wrong, does not end, or reaches for more than that.
    """
    job = {"template": template, "rows": list(rows), "count": max(variants, len(rows)), "seed": seed}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fairway_steps.loadtest.templates"],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"--template does not end within {SECONDS:g} s", mend="let it loop less") from error
    if done.returncode < 0 or not done.stdout:
        raise UsageError(
            f"--template takes more than {CPU_SECONDS} s or {MEMORY // 1024**3} GiB", mend="let it loop less"
        )
    answer = json.loads(done.stdout)
    if "wrong" in answer:
        raise UsageError(f"--template {answer['wrong']}", mend=answer["mend"])
    return [encoded(body, "what --template writes") for body in answer["bodies"]]


def main() -> None:
    """Read a job from stdin, write its bodies, or what is wrong, to stdout."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    job = json.load(sys.stdin)
    try:
        answer = _rendered(job)
    except MemoryError:
        answer = {"wrong": "takes too much memory", "mend": "let it write less"}
    json.dump(answer, sys.stdout)


def _rendered(job: Mapping[str, Any]) -> dict[str, Any]:
    from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError  # noqa: PLC0415 - only in the process for it
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415 - likewise

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    draw = random.Random(job["seed"])  # noqa: S311 - reproducible bodies, no secret
    random.seed(job["seed"])  # Jinja's own filter `random` and its lipsum() draw from there
    mend = f"it may use {', '.join(NAMES)}"
    try:
        template = environment.from_string(job["template"])
        bodies: list[str] = []
        for index in range(job["count"]):
            values = _values(draw) | {"index": index}
            if job["rows"]:
                values["row"] = job["rows"][index % len(job["rows"])]
            body = template.render(values)
            if len(body) > LONGEST:
                return {"wrong": f"writes more than {LONGEST:,} characters", "mend": "let it write less"}
            bodies.append(body)
    except TemplateSyntaxError as error:
        return {"wrong": f"has a mistake in line {error.lineno}: {error.message}", "mend": "see Jinja's documentation"}
    except (
        TemplateError,
        ArithmeticError,
        TypeError,
        ValueError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:
        return {"wrong": f"cannot be filled in: {str(error).rstrip('.')}", "mend": mend}
    return {"bodies": bodies}


def _values(draw: random.Random) -> dict[str, Any]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return {
        "randint": draw.randint,
        "uniform": draw.uniform,
        "choice": draw.choice,
        "word": lambda length=8: "".join(draw.choices(letters, k=min(int(length), LONGEST))),
        "uuid": lambda: str(uuid.UUID(int=draw.getrandbits(128), version=4)),
    }


if __name__ == "__main__":
    main()
