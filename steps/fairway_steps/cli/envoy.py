"""``fairway envoy``."""

from pathlib import Path

import click

from fairway_steps.cli.params import VERSION, option
from fairway_steps.model import Version


@click.command(
    "envoy",
    epilog="\b\nExit codes: 0 done, 1 Envoy did not come up or ended, 2 usage or configuration, 130/143 signals.\n\n"
    "\b\nExample:\n  fairway envoy ./route --service iris --primary v1=http://127.0.0.1:8001 --listen 127.0.0.1:8080",
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@option("service", help="What clients call; needed to make a new folder.")
@option("primary", VERSION, help="NAME=http://HOST:PORT that has all of the traffic; needed to make a new folder.")
@option("listen", default="127.0.0.1:8080", help="Where clients call it.")
@option("admin", default="127.0.0.1:9901", help="Where Fairway asks it what it serves.")
def envoy(folder: Path, service: str | None, primary: Version | None, listen: str, admin: str) -> None:
    """Run an Envoy that reads its routes from FOLDER, until a signal ends it.

    A folder that does not exist yet is made, with all of the traffic on the primary; one that does is served as it is.
    Name the folder to the steps as --route envoy:FOLDER.
    """
    from fairway_steps import log
    from fairway_steps.clock import SystemClock
    from fairway_steps.envoy_admin import BOOTSTRAP
    from fairway_steps.errors import DomainError, UsageError
    from fairway_steps.routing import bootstrap, process

    log.configure()
    binary = process.find_envoy()
    if not (folder / BOOTSTRAP).exists():
        if not service or primary is None:
            raise UsageError(f"there is no route in {folder}", mend="give --service and --primary to make it")
        process.check_free([bootstrap.parse_address(listen, "--listen"), bootstrap.parse_address(admin, "--admin")])
        bootstrap.write_folder(folder, service, primary, listen, admin)
    elif service or primary is not None:
        click.echo(f"{folder} is there already and is served as it is", err=True)
    running = process.start(folder, SystemClock(), envoy=binary)
    try:
        (_, _), *listeners = bootstrap.addresses(folder)
        for host, port in listeners:
            click.echo(f"Envoy serves {folder} at http://{host}:{port} (process {running.pid})", err=True)
        code = running.wait()
    finally:
        process.stop(running)
    raise DomainError(f"Envoy ended with exit code {code}: {process.last_words(folder)}")
