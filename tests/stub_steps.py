"""A stand-in for the steps' commands, to run a rendered workflow's graph without a release.

Run as a program it notes its call in ``calls.jsonl`` of a folder, writes the outputs that ``script.json`` there has next for
the step (the last ones again when there are no more), and exits with their code.
"""

import fcntl
import json
import os
import sys
from pathlib import Path

Call = tuple[str, dict[str, str]]
RUN = "import os, runpy; runpy.run_path(os.environ['STUB_STEPS'], run_name='__main__')"


def stubbed(template):
    """The template with every step replaced by this program.

    Where that is, and its folder, come by the environment: paths below /tmp would be taken for the pod's own.
    """
    for one in template["spec"]["templates"]:
        single = [one["container"]] if "container" in one else []
        for container in [*single, *one.get("containerSet", {}).get("containers", [])]:
            container["command"] = ["python3", "-S", "-c", RUN]
    return template


def environment(folder: Path) -> dict[str, str]:
    """What the program needs to be told."""
    return {"PATH": os.environ["PATH"], "STUB_STEPS": __file__, "STUB_FOLDER": str(folder)}


def script(folder: Path, **answers) -> None:
    """What each step answers, one after another: ``assess=[{"verdict": "advance"}]``; ``code`` is its exit code."""
    named = {name.replace("_", "-"): answer for name, answer in answers.items()}
    (folder / "script.json").write_text(json.dumps(named))


def calls(folder: Path) -> list[Call]:
    """The steps that were called, in order, with their options."""
    text = (folder / "calls.jsonl").read_text() if (folder / "calls.jsonl").exists() else ""
    return [(name, options) for name, options in map(json.loads, text.splitlines())]


def main(folder: Path, name: str, *options: str) -> int:
    given = dict(option.removeprefix("--").split("=", 1) for option in options)
    answers = json.loads((folder / "script.json").read_text()).get(name, [{}])
    with (folder / "calls.jsonl").open("a+") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        log.seek(0)
        before = sum(json.loads(line)[0] == name for line in log)
        log.write(json.dumps([name, given]) + "\n")
    answer = dict(answers[min(before, len(answers) - 1)])
    code = int(answer.pop("code", 0))
    out = Path(given["out-dir"])
    out.mkdir(parents=True, exist_ok=True)
    for output, value in answer.items():
        (out / output).write_text(value)
    return code


if __name__ == "__main__":
    sys.exit(main(Path(os.environ["STUB_FOLDER"]), *sys.argv[1:]))
