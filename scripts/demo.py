"""Run the whole crossing against the simulated site:  python3 scripts/demo.py [--size MIB] [--keep DIR]"""

from __future__ import annotations

import sys

import _venv


def main() -> int:
    """Run the demo in the project's own environment, made on the first run."""
    return _venv.run("test", ["-m", "tests.demo", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
