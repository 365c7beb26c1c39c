"""``fairway check``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairway_steps.errors import UsageError

if TYPE_CHECKING:
    from fairway_workflows.findings import Document

EXAMPLE = """\b
Example:
  fairway check manifests my-workflow.yaml"""


@click.command("check", epilog=EXAMPLE)
@click.argument("paths", nargs=-1, required=True, metavar="FILE_OR_FOLDER...")
def check(paths: Sequence[str]) -> int:
    """Prove that manifests hold together, offline: arguments, references, names, outputs, commands.

    Works on any WorkflowTemplate, ClusterWorkflowTemplate, Workflow, CronWorkflow, Task, StepAction, Pipeline or
    PipelineRun; other kinds are noted and left alone. A line a finding: file: template: sentence.

    Exit codes: 0 nothing found, 1 something found, 2 a file cannot be read or has nothing to check.
    """
    from fairway_workflows.check import KINDS, faults
    from fairway_workflows.check import check as run

    documents = [document for path in paths for file in _files(Path(path)) for document in _documents(file)]
    if not documents:
        raise UsageError(
            f"{', '.join(paths)}: there is no manifest in it, so nothing was proved", mend="name another folder"
        )
    findings = run(documents)
    for finding in findings:
        click.echo(str(finding), err=finding.note)
    checked = [document for document in documents if document.kind in KINDS]
    if not checked:
        raise UsageError(f"{', '.join(paths)}: nothing was proved", mend=f"name a file with a {' or '.join(KINDS)}")
    found = len(faults(findings))
    click.echo(f"{len(checked)} manifests checked: {found or 'nothing'} found", err=True)
    return 1 if found else 0


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.suffix in (".yaml", ".yml") and file.is_file())
    elif path.exists():
        yield path
    else:
        raise UsageError(f"{path}: there is no such file or folder")


def _documents(path: Path) -> "Iterator[Document]":
    import yaml

    from fairway_workflows.findings import Document

    try:
        bodies = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{line}: it is not YAML: {getattr(error, 'problem', None) or error}") from error
    for body in bodies:
        if body is None:
            continue
        if not isinstance(body, dict):
            raise UsageError(f"{path}: a document in it is not a mapping")
        yield Document(str(path), body)
