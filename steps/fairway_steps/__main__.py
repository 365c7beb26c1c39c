"""``python -m fairway_steps`` is ``fairway``."""

from fairway_steps.cli import main

main()
