"""``python -m fairway_steps`` is ``fairway``."""

from fairway_steps.cli import main

if __name__ == "__main__":  # processes that a step starts import this file, too
    main()
