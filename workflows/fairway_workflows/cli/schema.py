"""``fairway schema``."""

import json

import click


@click.command("schema", epilog="Example: fairway schema > release.schema.json")
def schema() -> None:
    """Print the JSON Schema of a release file, for editors.

    An editor with YAML support checks a file whose first line is `# yaml-language-server: $schema=release.schema.json`.
    """
    from fairway_steps.config import release_schema

    click.echo(json.dumps(release_schema(), indent=2))
