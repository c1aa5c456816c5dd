"""Commands about what stands in the import folder of the infrastructure share. Pure.

Source: Windows PowerShell 5.1, Microsoft.PowerShell.Management (`New-Item` does not replace a file that
exists: two writers of one name cannot both believe that they made it).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PureWindowsPath

from toolkit.cluster._cmdlets import building, reading
from toolkit.errors import ClusterError
from toolkit.model import Cmdlet, Command, Plain

MOST_ITEMS = 50_000
"""Of one listing: several times what an expanded bundle holds, and some tens of megabytes of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareItem:
    """A file or folder as a node lists it; two equal ones are the same unchanged file."""

    path: PureWindowsPath
    is_folder: bool
    size_bytes: int
    written_at: str
    """As the node tells it; only ever compared."""


def names(folder: PureWindowsPath, pattern: str) -> Command[tuple[str, ...]]:
    """List the names in a folder that match a pattern."""
    parameters = (("LiteralPath", str(folder)), ("Filter", pattern), ("Name", None))
    return Command(
        pipeline=(Cmdlet("Get-ChildItem", parameters),),
        parse=lambda reply: tuple(str(item) for item in reply),
    )


def tree(folder: PureWindowsPath) -> Command[tuple[ShareItem, ...]]:
    """List everything below a folder; more than `MOST_ITEMS` is a `ClusterError`."""
    stage = Cmdlet("Get-ChildItem", (("LiteralPath", str(folder)), ("Recurse", None)))
    properties = ["FullName", "PSIsContainer", "Length", "LastWriteTime"]

    def parse(reply: tuple[Plain, ...]) -> tuple[ShareItem, ...]:
        if len(reply) > MOST_ITEMS:
            raise ClusterError(
                f"see what stands in {folder}",
                found=f"more than {MOST_ITEMS} files and folders",
                expected="what some imports leave there",
                hint="look on a node what it is (Get-ChildItem), have removed what is nobody's; then run the same "
                "command again",
            )
        return tuple(_item(reading.row(item, stage.name)) for item in reply)

    return Command(
        pipeline=(stage, building.select(properties, first=MOST_ITEMS + 1)),
        parse=parse,
        timeout_s=600,
    )


def new_file(path: PureWindowsPath, text: str) -> Command[None]:
    """Make a file that holds a text; one that exists is not touched, and the cmdlet says so."""
    parameters = (("ItemType", "File"), ("Path", str(path)), ("Value", text))
    return Command(
        pipeline=(Cmdlet("New-Item", parameters),), parse=reading.nothing, changes_cluster=True
    )


def texts(paths: tuple[PureWindowsPath, ...]) -> Command[tuple[str, ...]]:
    """Read small text files whole, in one command."""
    parameters = (
        ("LiteralPath", list[Plain](str(path) for path in paths)),
        ("Raw", None),
        ("Encoding", "UTF8"),
    )
    return Command(
        pipeline=(Cmdlet("Get-Content", parameters),),
        parse=lambda reply: tuple(str(item).removeprefix("\ufeff") for item in reply),
    )


def rename(path: PureWindowsPath, name: str) -> Command[None]:
    """Give a file another name beside where it is; refused while somebody writes it."""
    parameters = (("LiteralPath", str(path)), ("NewName", name))
    return Command(
        pipeline=(Cmdlet("Rename-Item", parameters),), parse=reading.nothing, changes_cluster=True
    )


def _item(row: dict[str, Plain]) -> ShareItem:
    length = row.get("Length")
    return ShareItem(
        path=PureWindowsPath(reading.text(row, "FullName")),
        is_folder=reading.text(row, "PSIsContainer") == "True",
        size_bytes=length if isinstance(length, int) else 0,
        written_at=reading.text(row, "LastWriteTime"),
    )
