"""`python -m toolkit` is the command `ferry`."""

from toolkit.cli import main

main()
