"""Run the tests in the project's own environment:  python3 scripts/test.py [pytest arguments]

Without arguments: everything, with the branch-coverage floor. The second run works without a network.
"""

from __future__ import annotations

import sys

import _venv


def main() -> int:
    """Run pytest; with no arguments, over everything and with coverage."""
    arguments = sys.argv[1:] or [
        "--numprocesses=2",
        "--dist=loadgroup",
        "--cov",
        "--cov-report=term",
    ]
    return _venv.run("test", ["-m", "pytest", *arguments])


if __name__ == "__main__":
    sys.exit(main())
