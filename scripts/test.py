"""Run the tests in the project's own environment:  python3 scripts/test.py [pytest arguments]

Without arguments: everything, with the branch-coverage floor. The second run works without a network.
"""

from __future__ import annotations

import sys

import _venv

_STOPPED = 130
_PARALLEL = ["--numprocesses=2", "--dist=loadgroup", "-m", "not alone", "--cov", "--cov-report="]
_ALONE = ["tests/system", "-m", "alone", "--cov", "--cov-append", "--cov-report=term"]
"""What a neighbour on the same disk would disturb comes last, one test at a time."""


def main() -> int:
    """Run pytest; with no arguments, over everything and with coverage."""
    if arguments := sys.argv[1:]:
        return _venv.run("test", ["-m", "pytest", *arguments])
    code = _venv.run("test", ["-m", "pytest", *_PARALLEL])
    if code == _STOPPED:
        return code
    return _venv.run("test", ["-m", "pytest", *_ALONE]) or code


if __name__ == "__main__":
    sys.exit(main())
