"""Covers: what all commands share — exit codes for each kind of error, one sentence and no traceback, empty means unset,
outputs as text, JSON, files and results, help that ends in an example — for every command there is.

Leaves out: what each command does (its own test says).
"""

import json
import os
import signal
import subprocess
import sys

import click
import pytest

from fairway_steps import cli
from fairway_steps.cli import fairway
from fairway_steps.cli.params import DURATION_TYPE, FLAG, option
from fairway_steps.cli.step import Answer, StepCommand, step
from fairway_steps.errors import DomainError, Fenced, TransientError, UsageError
from fairway_steps.outputs import Output

CONTEXT = click.Context(fairway, info_name="fairway")
COMMANDS = {name: fairway.get_command(CONTEXT, name) for name in fairway.list_commands(CONTEXT)}
STEPS = {name: command for name, command in COMMANDS.items() if isinstance(command, StepCommand)}


@step(
    "sample", outputs=[Output("verdict", "hold", "What.")], failure="it breaks", example="fairway sample", mutates=True
)
@option("wait", DURATION_TYPE, default="3s", help="How long.")
@option("name", required=True, help="Whose.")
@option("raises", help="Which error.")
def sample(wait: float, name: str, raises: str | None, dry_run: bool) -> Answer:
    """Do something."""
    errors = {"domain": DomainError, "usage": UsageError, "transient": TransientError, "fenced": Fenced}
    if raises == "interrupt":
        raise KeyboardInterrupt
    if raises == "missing":
        raise ModuleNotFoundError("No module named 'scipy'", name="scipy.special")
    if raises:
        raise errors[raises]("it is wrong", mend="put it right")
    return Answer({"verdict": f"{name} {wait:g} {dry_run}"})


@pytest.fixture
def call(monkeypatch, capsys):
    monkeypatch.setattr(cli, "fairway", sample)

    def run(*arguments):
        code = cli._run(list(arguments))
        return (code, *capsys.readouterr())

    return run


@pytest.mark.parametrize(
    ("raises", "code", "said"),
    [
        ("domain", 1, "error: it is wrong; put it right\n"),
        ("fenced", 1, "error: it is wrong; put it right\n"),
        ("usage", 2, "error: it is wrong; put it right\n"),
        ("transient", 75, "error: it is wrong; put it right\n"),
        (
            "missing",
            2,
            "error: this command needs scipy.special, which is not installed; `pip install 'fairway[assess]'`\n",
        ),
        ("interrupt", 130, "\n"),
    ],
)
def test_each_error_has_its_exit_code_and_one_sentence(call, raises, code, said):
    assert call("--name", "x", "--raises", raises) == (code, "", said)


@pytest.mark.parametrize(
    "arguments", [[], ["--name="], ["--name", "x", "--wait", "soon"], ["--nam", "x", "--no-such", "1"]]
)
def test_a_wrong_call_is_one_line_and_exit_2(call, arguments):
    code, out, err = call(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")


def test_an_empty_value_is_no_value(call):
    assert call("--name", "x", "--wait=", "--raises=", "--dry-run=")[1] == "verdict: x 3 False\n"


def test_outputs_go_to_stdout_folder_and_results(call, tmp_path):
    code, out, _ = call(
        "--name", "x", "--output", "json", "--out-dir", str(tmp_path / "o"), "--result", f"verdict={tmp_path}/r"
    )
    assert (code, json.loads(out)) == (0, {"verdict": "x 3 False"})
    assert (tmp_path / "o" / "verdict").read_text() == (tmp_path / "r").read_text() == "x 3 False"


@pytest.mark.parametrize("value", ["yes", "1", "on"])
def test_a_flag_is_true_or_false(call, value):
    assert "neither true nor false" in call("--name", "x", "--dry-run", value)[2]


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("20s", 20), ("1.5m", 90), ("1h", 3600), ("7", 7)])
def test_durations(text, seconds):
    assert DURATION_TYPE.convert(text, None, None) == pytest.approx(seconds, rel=1e-12)


def test_an_unknown_command_offers_the_nearest(capsys):
    assert cli._run(["asess"]) == 2
    assert "did you mean 'assess'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_ends_in_an_example(name):
    command = COMMANDS[name]
    text = command.get_help(click.Context(command, info_name=f"fairway {name}"))
    assert f"fairway {name}" in text.split("Example", 1)[1]
    assert command.get_short_help_str(200)
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


@pytest.mark.parametrize("name", STEPS)
def test_every_step_says_its_outputs_exit_codes_and_where_it_mutates(name):
    command = STEPS[name]
    text = " ".join(command.get_help(click.Context(command, info_name=f"fairway {name}")).split())
    assert "Exit codes: 0 done, 1 " in text
    assert all(output.name in text for output in command.outputs)
    assert {"--output", "--out-dir", "--result"} <= {opt for p in command.params for opt in p.opts}
    assert ("--dry-run" in text) == command.mutates


@pytest.mark.parametrize("name", STEPS)
def test_every_option_of_a_step_takes_a_value_and_is_kebab_case(name):
    for parameter in STEPS[name].params:
        assert not getattr(parameter, "is_flag", False)
        assert all(opt.startswith("--") and opt == opt.lower() and "_" not in opt for opt in parameter.opts)


def test_flags_are_one_type():
    assert FLAG.convert("TRUE", None, None) is True


def test_sigterm_unwinds_and_ends_with_143():
    code = (
        "import time\nfrom fairway_steps import cli\n"
        "class Waits:\n    def main(self, **_):\n        print('up', flush=True)\n        time.sleep(60)\n"
        "cli.fairway = Waits()\ncli.main([])\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == 143


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_that_python_drops_within_a_finaliser_comes_again(number, code):
    program = (
        "import signal, time\nfrom fairway_steps import cli\n"
        f"class Dropped:\n    def __del__(self):\n        signal.raise_signal({int(number)})\n        time.sleep(0)\n"
        "class Waits:\n    def main(self, **_):\n        Dropped()\n        time.sleep(60)\n"
        "cli.fairway = Waits()\ncli.main([])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_a_command_makes_its_classes_ends_it_in_order(number, code):
    program = (
        "import signal\nfrom fairway_steps import cli\n"
        f"class Named:\n    def __set_name__(self, owner, name):\n        signal.raise_signal({int(number)})\n"
        "class Imports:\n    def main(self, **_):\n        class Made:\n            field = Named()\n"
        "cli.fairway = Imports()\ncli.main([])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (code, "")


def test_an_error_that_no_signal_is_behind_keeps_its_traceback():
    program = (
        "from fairway_steps import cli\n"
        "class Wrong:\n    def main(self, **_):\n        raise RuntimeError('wrong') from ValueError('why')\n"
        "cli.fairway = Wrong()\ncli.main([])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "RuntimeError: wrong" in done.stderr


def test_no_heavy_module_is_imported_for_help():
    heavy = ("scipy", "numpy", "kubernetes", "hera", "pydantic", "requests", "jinja2", "kserve", "sklearn")
    code = (
        "import sys\nfrom fairway_steps.cli import fairway\n"
        "try:\n    fairway.main(args=['--help'], standalone_mode=False)\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr.strip() == "[]"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_before_the_commands_are_imported_ends_it_in_order(number, code):
    early = f"""
import importlib.abc, os, sys
class Signalled(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "fairway_steps.cli":
            os.kill(os.getpid(), {int(number)})
sys.meta_path.insert(0, Signalled())
sys.argv = ["fairway", "--help"]
from fairway_steps.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", early], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


NO_NUMBERS = [
    "fairway_steps.begin",
    "fairway_steps.cli.begin",
    "fairway_steps.metrics.registry",
    "fairway_steps.notify.notice",
    "fairway_steps.ready",
    "fairway_steps.release",
    "fairway_steps.report.text",
    "fairway_steps.routing.registry",
    "fairway_steps.weights",
    "fairway_workflows.run",
]


@pytest.mark.parametrize("module", NO_NUMBERS)
def test_what_assesses_nothing_needs_neither_numpy_nor_scipy(module):
    code = f"import sys\nsys.modules.update(numpy=None, scipy=None)\nimport {module}\n"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
