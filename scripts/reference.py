"""Write docs/reference/cli.md from the commands themselves:  python3 scripts/reference.py [--check]"""

from __future__ import annotations

import sys

import _venv

_BODY = """
import pathlib, sys
import click
from toolkit.cli import root

def pages(command, words):
    context = click.Context(command, info_name=" ".join(words), terminal_width=100, max_content_width=100)
    yield words, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from pages(command.get_command(context, name), [*words, name])

lines = ["# Commands", "", "Written by `scripts/reference.py` from the commands' own help.", ""]
for words, text in pages(root, ["ferry"]):
    lines += [f"## {' '.join(words)}", "", "```text", text.rstrip(), "```", ""]
text = "\\n".join(lines)
path = pathlib.Path("docs/reference/cli.md")
if "--check" in sys.argv:
    sys.exit(0 if path.exists() and path.read_text(encoding="utf-8") == text else "docs/reference/cli.md is stale: run scripts/reference.py")
path.write_text(text, encoding="utf-8", newline="\\n")
"""


def main() -> int:
    """Write the page, or with --check say whether it is stale."""
    return _venv.run("base", ["-c", _BODY, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
