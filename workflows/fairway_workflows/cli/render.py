"""``fairway render``."""

from pathlib import Path

import click

from fairway_steps.cli.params import FLAG, option

EXAMPLE = """\b
Example:
  fairway render --out manifests
  fairway render --out manifests --check true"""


@click.command("render", epilog=EXAMPLE)
@option("out", default="manifests", help="The folder to write to; it gets the folders argo and tekton.")
@option("images", default="fairway-", help="What the images' names begin with: registry.example.com/fairway-.")
@option("tag", help="The images' tag, or version.  [default: the version of this program]")
@option("check", FLAG, default="false", help="Write nothing; exit 1 if a file differs from a fresh rendering.")
def render(out: str, images: str, tag: str | None, check: bool) -> int:
    """Write the manifests of Argo Workflows and Tekton, each folder as a kustomization.

    All are made from the steps' own commands. Renderings that are no longer made are removed.

    Exit codes: 0 done, 1 --check found a file that differs, 2 usage or configuration.
    """
    from fairway_workflows.argo import Images
    from fairway_workflows.render import Rendering, stale
    from fairway_workflows.render import render as run

    rendering = Rendering(Images(images, tag) if tag else Images(images))
    if check:
        differing = stale(Path(out), rendering)
        for path in differing:
            click.echo(f"{path}: differs from a fresh rendering")
        return 1 if differing else 0
    for path in run(Path(out), rendering):
        click.echo(f"{path}: {'written' if path.exists() else 'removed'}")
    return 0
