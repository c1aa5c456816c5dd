"""`python -m toolkit` is the command `ferry`. Ctrl-C is answered before anything large is imported."""

import sys

_STOPPED = "\nferry: stopped; the same command goes on from here\n"


def main() -> int:
    """Run the command `ferry` and return its exit code."""
    try:
        from toolkit.cli import execute

        return execute()
    except KeyboardInterrupt:  # while modules were imported; a later one ends in `execute`
        if sys.stderr is not None:
            sys.stderr.write(_STOPPED)
        return 130


if __name__ == "__main__":
    sys.exit(main())
