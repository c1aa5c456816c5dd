"""Write docs/reference/cli.md and checks.md from the program itself:  python3 scripts/reference.py [--check]"""

from __future__ import annotations

import sys

import _venv

_BODY = r'''
import pathlib, sys
import click
from toolkit.cli import root
from toolkit.cluster import CHECKS

def commands(command, words):
    context = click.Context(command, info_name=" ".join(words), terminal_width=100, max_content_width=100)
    yield words, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), [*words, name])

def cli():
    yield "# Commands\n\nWritten by `scripts/reference.py` from the commands' own help.\n"
    for words, text in commands(root, ["ferry"]):
        yield f"## {' '.join(words)}\n\n```text\n{text.rstrip()}\n```\n"

SECTIONS = {
    "readiness": "Whether the cluster is ready",
    "dont": "What should not have been changed by hand",
    "payload": "What an update needs besides its payload",
}
NOTES = {
    "dont": "What leaves no trace that can be read on a node is not here: Defender's *Restrict App Execution*, a registry "
    "restored from RegBack, HTTPS inspection on the way out. Locks on the Azure Resource Bridge are found by the "
    "cluster's own health check (`health-checks`).\n",
}
TRUST = {
    "confirmed": "published",
    "inferred": "concluded from what is published",
    "platform": "known of Windows",
}

def checks():
    yield """# Checks

What `ferry cluster check` asks of a cluster, and what the answers mean. Written by `scripts/reference.py` from the
checks themselves. Nothing is changed by any of them.

| Verdict | means |
|---|---|
| `critical` | an update would fail, or do harm; exit code 1 |
| `warning` | an update may suffer from it; a person decides |
| `unknown` | it was not told, or not in words that we know; never taken for a pass |
| `pass` | nothing was found |

Where a node does not answer, every check that rests on it says `unknown` for that node in the error's own words. A check
whose needs are not met (a medium, the wanted version, a baseline) is named as not asked. Guides `TSG/…` are in
github.com/Azure/AzureLocal-Supportability.
"""
    for about, heading in SECTIONS.items():
        found = [check for check in CHECKS if check.about == about]
        if found:
            yield f"## {heading}\n"
        if found and about in NOTES:
            yield NOTES[about]
        for check in found:
            yield f"### {check.id}\n\n{check.title}.\n"
            needs = f" Needs: {', '.join(sorted(check.needs))}." if check.needs else ""
            asked = ", ".join(f"`{name}`" for name in check.asked)
            yield "\n".join([
                f"* Asked: {check.reads}" + (f" ({asked})." if asked else ".") + needs,
                f"* Rule ({TRUST[check.confidence]}): {check.rule}",
                f"* What to do: {check.remedy}",
                f"* Source: {check.source}",
                "",
            ])

stale = []
for name, parts in (("cli", cli()), ("checks", checks())):
    path, text = pathlib.Path(f"docs/reference/{name}.md"), "\n".join(parts)
    if "--check" not in sys.argv:
        path.write_text(text, encoding="utf-8", newline="\n")
    elif not path.exists() or path.read_text(encoding="utf-8") != text:
        stale.append(str(path))
sys.exit(f"stale: {', '.join(stale)}: run scripts/reference.py" if stale else 0)
'''


def main() -> int:
    """Write the pages, or with --check say which is stale."""
    return _venv.run("base", ["-c", _BODY, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
