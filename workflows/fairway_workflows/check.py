"""Whether manifests of Argo and Tekton hold together, offline and before anything runs.

The controllers accept a misspelt argument, an output that nobody writes and a name that means nothing, and find out in
the middle of a release. Here every name is followed to where it is declared. Works on anybody's manifests; kinds that are
not known are noted and left alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairway_workflows.check_argo import ArgoDocument
from fairway_workflows.check_fields import unknown_fields
from fairway_workflows.check_pipeline import Library, check_pipeline, check_references
from fairway_workflows.check_tekton import check_tekton
from fairway_workflows.check_values import refused_values
from fairway_workflows.findings import Document, Finding, section

ARGO = ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow")
TEKTON = ("Task", "StepAction")
PIPELINES = ("Pipeline", "PipelineRun")
KINDS = (*ARGO, *TEKTON, *PIPELINES)
"""What is checked."""


def check(documents: Sequence[Document]) -> list[Finding]:
    """What is wrong in the documents, each sentence once; they may refer to one another's templates.

    A ``Finding`` with ``note`` is no fault: it tells what was not looked at.
    """
    argo = {id(document): ArgoDocument(document) for document in documents if document.kind in ARGO}
    library = {(one.cluster_scope, one.name): one for one in argo.values() if one.is_template}
    tekton = {(one.kind, one.name): section(one.body, "spec") for one in documents if one.kind in (*TEKTON, *PIPELINES)}
    found = [finding for document in documents for finding in _checked(document, argo, library, tekton)]
    return list(dict.fromkeys([*found, *refused_values(list(argo.values()), library)]))


def _checked(
    document: Document,
    argo: Mapping[int, ArgoDocument],
    library: Mapping[tuple[bool, str], ArgoDocument],
    tekton: Library,
) -> Iterator[Finding]:
    if document.kind in ARGO:
        yield from unknown_fields(document)
        yield from argo[id(document)].findings(library)
    elif document.kind in TEKTON:
        yield from check_tekton(document)
        yield from check_references(document, tekton)
    elif document.kind in PIPELINES:
        yield from check_pipeline(document, tekton)
    else:
        yield Finding(document.source, document.kind or "?", "not a kind that is checked here", note=True)


def faults(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that are faults."""
    return [finding for finding in findings if not finding.note]


def document(body: Mapping[str, Any], source: str = "-") -> Document:
    """A parsed manifest, with the name of the file it is from."""
    return Document(source, body)
