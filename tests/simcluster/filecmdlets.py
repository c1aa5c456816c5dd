"""The in-box cmdlets that work on files: they really do it, in the node's file tree.

Source: Windows PowerShell 5.1 and its module Microsoft.PowerShell.Archive (words, error identifiers,
encodings: `UTF8` writes a byte order mark, `Default` is Windows-1252).
"""

from __future__ import annotations

import codecs
import fnmatch
import hashlib
import itertools
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath
from typing import IO

from tests.simcluster import providers
from tests.simcluster.open_files import READER, REMOVER
from tests.simcluster.pipeline import (
    Call,
    Library,
    Parameter,
    anything,
    number,
    switch,
    text,
    texts,
)
from tests.simcluster.values import CUSTOM_OBJECT, OBJECT, NetEnum, NetObject, Value, text_of

LIBRARY = Library()
_COMMANDS = "Microsoft.PowerShell.Commands"
_CHUNK_BYTES = 1 << 20

_PATH = Parameter("Path", texts, position=0)
_LITERAL = Parameter("LiteralPath", texts, aliases=("PSPath",))


# --- paths --------------------------------------------------------------------------------------


def locate(call: Call, path: str) -> Path:
    """Return where a path of the node lies on this machine.

    Raises:
        PsError: The drive cannot have such a path.
    """
    plain = path
    for host in ("localhost", ".", call.node.name, call.node.address):
        prefix = f"\\\\{host}\\C$"
        if plain.lower().startswith(prefix.lower()):
            plain = "C:" + (plain[len(prefix) :] or "\\")
    try:
        return call.node.drive.resolve(plain)
    except ValueError as exc:
        raise call.failure(
            f"Cannot find path '{path}' because it does not exist. ({exc})",
            "DriveNotFound",
            "ObjectNotFound",
            exception="System.Management.Automation.DriveNotFoundException",
            target=path,
        ) from exc


def _missing(call: Call, path: str, error_id: str = "PathNotFound") -> None:
    call.error(
        call.failure(
            f"Cannot find path '{path}' because it does not exist.",
            error_id,
            "ObjectNotFound",
            exception="System.Management.Automation.ItemNotFoundException",
            target=path,
        )
    )


def _paths(call: Call) -> Iterator[tuple[str, bool]]:
    """Yield each path that was named, and whether it may be a pattern."""
    for path in call["LiteralPath"] or []:
        yield path, False
    for path in call["Path"] or []:
        yield path, True


def _found(call: Call, path: str, *, may_match: bool) -> Iterator[tuple[str, Path]]:
    """Yield what a path names, also if it is not there; or what it matches."""
    if not may_match or ("*" not in path and "?" not in path.removeprefix("\\\\?\\")):
        yield path, locate(call, path)
        return
    folder = PureWindowsPath(path).parent
    pattern = PureWindowsPath(path).name.lower()
    for name, found in _entries(call, str(folder)):
        if fnmatch.fnmatch(name.lower(), pattern):
            yield str(folder / name), found


def _named(call: Call) -> Iterator[tuple[str, Path]]:
    """Yield each path -LiteralPath names, or that -Path names or matches."""
    for path, may_match in _paths(call):
        yield from _found(call, path, may_match=may_match)


def _existing(call: Call, error_id: str = "PathNotFound") -> Iterator[tuple[str, Path]]:
    for path, found in _named(call):
        if found.exists():
            yield path, found
        else:
            _missing(call, path, error_id)


def _entries(call: Call, folder: str) -> list[tuple[str, Path]]:
    if not locate(call, folder).is_dir():
        return []
    return call.node.drive.entries(folder)


def file_object(path: str, found: Path) -> NetObject:
    """Return the FileInfo or DirectoryInfo of something that exists."""
    shown = PureWindowsPath(path)
    status = found.stat()
    is_folder = found.is_dir()
    written = datetime.fromtimestamp(status.st_mtime, UTC)
    name = "System.IO.DirectoryInfo" if is_folder else "System.IO.FileInfo"
    attribute = ("Directory", 16) if is_folder else ("Archive", 32)
    properties: dict[str, Value] = {
        "Name": shown.name or str(shown),
        "FullName": str(shown),
        "Extension": "" if is_folder else shown.suffix,
        "Exists": True,
        "Attributes": NetEnum("System.IO.FileAttributes", *attribute),
        "CreationTime": written,
        "CreationTimeUtc": written,
        "LastWriteTime": written,
        "LastWriteTimeUtc": written,
        "PSIsContainer": is_folder,
    }
    if not is_folder:
        properties["Length"] = status.st_size
        properties["DirectoryName"] = str(shown.parent)
    return NetObject((name, "System.IO.FileSystemInfo", OBJECT), properties, text=str(shown))


# --- looking ------------------------------------------------------------------------------------


@LIBRARY.cmdlet(
    "Test-Path",
    _PATH,
    _LITERAL,
    Parameter("PathType"),
    owner=f"{_COMMANDS}.TestPathCommand",
)
def test_path(call: Call) -> Iterator[Value]:
    """Say of each path whether it exists."""
    kind = (call["PathType"] or "Any").lower()
    for path, may_match in _paths(call):
        if providers.is_elsewhere(path):
            there = providers.item(call, path)
            is_folder = there is not None and there.properties["PSIsContainer"]
            yield there is not None and kind in {"any", "container" if is_folder else "leaf"}
            continue
        found = [item for _, item in _found(call, path, may_match=may_match)]
        yield any(
            {"leaf": item.is_file, "container": item.is_dir}.get(kind, item.exists)()
            for item in found
        )


@LIBRARY.cmdlet(
    "Get-Item", _PATH, _LITERAL, Parameter("Force", switch), owner=f"{_COMMANDS}.GetItemCommand"
)
def get_item(call: Call) -> Iterator[Value]:
    """Describe files, folders, registry keys and settings of WinRM."""
    for path, may_match in _paths(call):
        if providers.is_elsewhere(path):
            there = providers.item(call, path)
            if there is None:
                _missing(call, path)
            else:
                yield there
            continue
        for shown, found in _found(call, path, may_match=may_match):
            if found.exists():
                yield file_object(shown, found)
            else:
                _missing(call, shown)


@LIBRARY.cmdlet(
    "Get-ChildItem",
    _PATH,
    _LITERAL,
    Parameter("Filter", text, position=1),
    Parameter("Recurse", switch),
    Parameter("File", switch),
    Parameter("Directory", switch),
    Parameter("Name", switch),
    Parameter("Force", switch),
    owner=f"{_COMMANDS}.GetChildItemCommand",
)
def get_child_item(call: Call) -> Iterator[Value]:
    """List folders."""
    if not call["Path"] and not call["LiteralPath"]:
        call.arguments["Path"] = ["C:\\"]
    wildcards = [path.lower() for path in call["Path"] or [] if "*" in path]
    for path, found in _existing(call):
        is_match = any(fnmatch.fnmatch(path.lower(), one) for one in wildcards)
        if found.is_dir() and not is_match:
            yield from _listed(call, path)
        else:
            yield file_object(path, found)


def _listed(call: Call, folder: str) -> Iterator[Value]:
    pattern = (call["Filter"] or "*").lower()
    for name, found in _entries(call, folder):
        path = str(PureWindowsPath(folder) / name)
        hidden = (call["File"] and not found.is_file()) or (
            call["Directory"] and not found.is_dir()
        )
        if not hidden and fnmatch.fnmatch(name.lower(), pattern):
            yield name if call["Name"] else file_object(path, found)
        if call["Recurse"] and found.is_dir():
            yield from _listed(call, path)


@LIBRARY.cmdlet(
    "Get-FileHash",
    _PATH,
    _LITERAL,
    Parameter("Algorithm", text, position=1),
    owner="Microsoft.PowerShell.Commands.ResolvePathCommand",
)
def get_file_hash(call: Call) -> Iterator[Value]:
    """Hash the real file."""
    algorithm = (call["Algorithm"] or "SHA256").upper()
    if algorithm.lower() not in {"sha1", "sha256", "sha384", "sha512", "md5"}:
        raise call.failure(
            f"Cannot validate argument on parameter 'Algorithm'. The argument \"{algorithm}\" does "
            'not belong to the set "SHA1,SHA256,SHA384,SHA512,MACTripleDES,MD5,RIPEMD160".',
            "ParameterArgumentValidationError",
            "InvalidData",
        )
    for path, found in _existing(call):
        if found.is_dir() or _is_in_use(call, path, found, READER, "FileReadError"):
            continue
        digest = hashlib.new(algorithm.lower())
        with found.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
        yield NetObject(
            ("Microsoft.Powershell.Utility.FileHash", CUSTOM_OBJECT, OBJECT),
            {"Algorithm": algorithm, "Hash": digest.hexdigest().upper(), "Path": path},
            is_custom=True,
        )


# --- changing -----------------------------------------------------------------------------------


@LIBRARY.cmdlet(
    "New-Item",
    Parameter("Path", position=0),
    Parameter("Name"),
    Parameter("ItemType", aliases=("Type",)),
    Parameter("Value", anything),
    Parameter("Force", switch),
    owner=f"{_COMMANDS}.NewItemCommand",
)
def new_item(call: Call) -> Iterator[Value]:
    """Make a folder or a file."""
    path = str(PureWindowsPath(call["Path"] or "C:\\", call["Name"] or ""))
    found = locate(call, path)
    is_folder = (call["ItemType"] or "File").lower() == "directory"
    if found.exists() and not (call["Force"] and found.is_dir() == is_folder):
        raise call.failure(
            f"An item with the specified name {path} already exists."
            if is_folder
            else f"The file '{path}' already exists.",
            "DirectoryExist" if is_folder else "NewItemIOError",
            "ResourceExists" if is_folder else "WriteError",
            exception="System.IO.IOException",
            target=path,
        )
    if not found.exists():
        kind = "CreateDirectory" if is_folder else "NewItem"
        check_change(call, path, kind, grows=bool(call["Value"]))
    if is_folder:
        found.mkdir(parents=True, exist_ok=True)
    else:
        _check_parent(call, path, found, "NewItemIOError")
        found.write_bytes(text_of(call["Value"]).encode("utf-8"))
    yield file_object(path, found)


@LIBRARY.cmdlet(
    "Remove-Item",
    _PATH,
    _LITERAL,
    Parameter("Recurse", switch),
    Parameter("Force", switch),
    owner=f"{_COMMANDS}.RemoveItemCommand",
)
def remove_item(call: Call) -> Iterator[Value]:
    """Remove files and folders."""
    for path, found in _existing(call):
        if _is_in_use(call, path, found, REMOVER, "RemoveFileSystemItemIOError"):
            continue
        check_change(call, path, "RemoveFileSystemItem")
        if not found.is_dir():
            found.unlink()
        elif call["Recurse"] or not any(found.iterdir()):
            shutil.rmtree(found)
        else:
            call.error(
                call.failure(
                    f"The item at {path} has children and the Recurse parameter was not specified.",
                    "InvalidOperation",
                    "InvalidOperation",
                    exception="System.Management.Automation.PSInvalidOperationException",
                    target=path,
                )
            )
    yield from ()


@LIBRARY.cmdlet(
    "Move-Item",
    _PATH,
    _LITERAL,
    Parameter("Destination", position=1),
    Parameter("Force", switch),
    owner=f"{_COMMANDS}.MoveItemCommand",
)
def move_item(call: Call) -> Iterator[Value]:
    """Move a file or folder; into the destination if that is a folder."""
    for path, found in _existing(call):
        goal = str(call["Destination"])
        target = locate(call, goal)
        if target.is_dir():
            goal = str(PureWindowsPath(goal, PureWindowsPath(path).name))
            target = locate(call, goal)
        if target.exists() and not (call["Force"] and target.is_file()):
            call.error(
                call.failure(
                    "Cannot create a file when that file already exists.",
                    "MoveFileInfoItemIOError" if found.is_file() else "MoveDirectoryItemIOError",
                    "WriteError",
                    exception="System.IO.IOException",
                    target=path,
                )
            )
            continue
        kind = "Directory" if found.is_dir() else "FileInfo"
        if _is_in_use(call, path, found, REMOVER, f"Move{kind}ItemIOError"):
            continue
        check_change(call, path, f"Move{kind}Item")
        _check_parent(call, goal, target, "MoveFileInfoItemIOError")
        found.replace(target)
    yield from ()


@LIBRARY.cmdlet(
    "Rename-Item",
    Parameter("Path", texts, position=0),
    _LITERAL,
    Parameter("NewName", position=1),
    Parameter("Force", switch),
    owner=f"{_COMMANDS}.RenameItemCommand",
)
def rename_item(call: Call) -> Iterator[Value]:
    """Give a file or folder another name beside where it is."""
    for path, found in _existing(call):
        target = locate(call, str(PureWindowsPath(path).parent / call["NewName"]))
        if target.exists():
            call.error(
                call.failure(
                    "Cannot create a file when that file already exists.",
                    "RenameItemIOError",
                    "WriteError",
                    exception="System.IO.IOException",
                    target=path,
                )
            )
            continue
        if _is_in_use(call, path, found, REMOVER, "RenameItemIOError"):
            continue
        check_change(call, path, "RenameItem")
        found.rename(target)
    yield from ()


@LIBRARY.cmdlet(
    "Copy-Item",
    _PATH,
    _LITERAL,
    Parameter("Destination", position=1),
    Parameter("Recurse", switch),
    Parameter("Force", switch),
    owner=f"{_COMMANDS}.CopyItemCommand",
)
def copy_item(call: Call) -> Iterator[Value]:
    """Copy a file, or a folder with -Recurse."""
    for path, found in _existing(call):
        target = locate(call, str(call["Destination"]))
        if target.is_dir():
            target = target / PureWindowsPath(path).name
        _check_parent(call, str(call["Destination"]), target, "CopyFileInfoItemIOError")
        if found.is_dir():
            shutil.copytree(found, target, dirs_exist_ok=bool(call["Force"]))
        else:
            shutil.copyfile(found, target)
    yield from ()


def _is_in_use(call: Call, path: str, found: Path, wanted: tuple[int, int], error_id: str) -> bool:
    """Say, as the cmdlet does, that somebody has a file open who does not let others do that."""
    if not call.world.open_files.is_in_use(found, *wanted):
        return False
    call.error(
        call.failure(
            f"The process cannot access the file '{path}' because it is being used by another process.",
            error_id,
            "WriteError",
            exception="System.IO.IOException",
            target=path,
        )
    )
    return True


def check_change(call: Call, path: str, kind: str, *, grows: bool = False) -> None:
    """Refuse to write on the cluster's volume on a day when that cannot be done.

    Raises:
        PsError: `<kind>UnauthorizedAccessError`, or `<kind>IOError` where the disk is full.
    """
    days, drive = call.world.share_days, call.node.drive
    if drive.volume(path) == drive.root:
        return
    if days.refuses_changes():
        raise call.failure(
            f"Access to the path '{path}' is denied.",
            f"{kind}UnauthorizedAccessError",
            "PermissionDenied",
            exception="System.UnauthorizedAccessException",
            target=path,
        )
    if grows and days.refuses_bytes():
        raise call.failure(
            "There is not enough space on the disk.",
            f"{kind}IOError",
            "WriteError",
            exception="System.IO.IOException",
            target=path,
        )


def _check_parent(call: Call, path: str, found: Path, error_id: str) -> None:
    if not found.parent.is_dir():
        raise call.failure(
            f"Could not find a part of the path '{path}'.",
            error_id,
            "ObjectNotFound" if "DirectoryNotFound" in error_id else "WriteError",
            exception="System.IO.DirectoryNotFoundException",
            target=path,
        )


# --- content ------------------------------------------------------------------------------------

_ENCODINGS = {
    "utf8": "utf-8-sig",
    "unicode": "utf-16",
    "ascii": "ascii",
    "default": "cp1252",
    "oem": "cp437",
    "string": "utf-16",
}


def _codec(call: Call, default: str) -> str | None:
    """Return the codec -Encoding names; None for bytes."""
    name = (call["Encoding"] or default).lower()
    if name == "byte":
        return None
    if name not in _ENCODINGS:
        raise call.failure(
            f"Cannot bind parameter 'Encoding'. Cannot convert value \"{name}\".",
            "CannotConvertArgumentNoMessage",
            "InvalidArgument",
            exception="System.Management.Automation.ParameterBindingException",
        )
    return _ENCODINGS[name]


@LIBRARY.cmdlet(
    "Get-Content",
    _PATH,
    _LITERAL,
    Parameter("Raw", switch),
    Parameter("Encoding"),
    Parameter("TotalCount", number, aliases=("First", "Head")),
    Parameter("Tail", number, aliases=("Last",)),
    Parameter("ReadCount", number),
    owner=f"{_COMMANDS}.GetContentCommand",
)
def get_content(call: Call) -> Iterator[Value]:
    """Read a file: as lines, as one text, or as bytes."""
    for _, found in _existing(call):
        codec = _codec(call, "Default")
        if codec is None:
            data = found.read_bytes()
            yield data if call["Raw"] else list(data)
            continue
        whole = _decode(found.read_bytes(), codec)
        if call["Raw"]:
            yield whole
            continue
        lines = whole.splitlines()
        if call["TotalCount"] is not None:
            lines = lines[: call["TotalCount"]]
        if call["Tail"] is not None:
            lines = lines[-call["Tail"] :]
        yield from lines


def _decode(data: bytes, codec: str) -> str:
    """Decode; a byte order mark wins over what was asked."""
    for mark, marked in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16")):
        if data.startswith(mark):
            return data.decode(marked)
    return data.decode("utf-8" if codec == "utf-8-sig" else codec, errors="replace")


def _write(call: Call, *, default: str, append: bool, error_id: str) -> None:
    codec = _codec(call, default)
    streams: list[IO[bytes]] = []
    try:
        for path, found in _named(call):
            _check_parent(call, path, found, error_id)
            check_change(call, path, "GetContentWriter", grows=True)
            is_new = not append or not found.exists() or found.stat().st_size == 0
            stream = found.open("ab" if append else "wb")
            streams.append(stream)
            if is_new and codec in {"utf-8-sig", "utf-16"}:
                stream.write(codecs.BOM_UTF8 if codec == "utf-8-sig" else codecs.BOM_UTF16_LE)
        for item in _content(call):
            data = _encoded(item, codec, ends_line=not call["NoNewline"])
            for sink in streams:
                sink.write(data)
    finally:
        for sink in streams:
            sink.close()


def _write_if_any(call: Call, *, append: bool) -> None:
    """Write as Set- and Add-Content do: without any input object not even the file is made."""
    if call["Value"] is None:
        try:
            first = next(call.input)
        except StopIteration:
            return
        call.input = itertools.chain([first], call.input)
    error_id = "GetContentWriterDirectoryNotFoundError"
    _write(call, default="Default", append=append, error_id=error_id)


def _content(call: Call) -> Iterator[Value]:
    for parameter in ("Value", "InputObject"):
        given = call[parameter]
        if given is not None:
            yield from given if isinstance(given, list) else [given]
    yield from call.input


def _encoded(item: Value, codec: str | None, *, ends_line: bool) -> bytes:
    if codec is None:
        if isinstance(item, bytes):
            return item
        return bytes(item if isinstance(item, list) else [int(text_of(item))])
    plain = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(codec, codec)
    return (text_of(item) + ("\r\n" if ends_line else "")).encode(plain, errors="replace")


_CONTENT_PARAMETERS = (
    _PATH,
    _LITERAL,
    Parameter("Value", anything, position=1),
    Parameter("Encoding"),
    Parameter("NoNewline", switch),
    Parameter("Force", switch),
)


@LIBRARY.cmdlet("Set-Content", *_CONTENT_PARAMETERS, owner=f"{_COMMANDS}.SetContentCommand")
def set_content(call: Call) -> Iterator[Value]:
    """Write a file anew."""
    _write_if_any(call, append=False)
    yield from ()


@LIBRARY.cmdlet("Add-Content", *_CONTENT_PARAMETERS, owner=f"{_COMMANDS}.AddContentCommand")
def add_content(call: Call) -> Iterator[Value]:
    """Append to a file."""
    _write_if_any(call, append=True)
    yield from ()


@LIBRARY.cmdlet(
    "Out-File",
    Parameter("Path", texts, position=0, aliases=("FilePath",)),
    _LITERAL,
    Parameter("Encoding", position=1),
    Parameter("Append", switch),
    Parameter("Width", number),
    Parameter("NoNewline", switch),
    Parameter("Force", switch),
    Parameter("InputObject", anything),
    owner=f"{_COMMANDS}.OutFileCommand",
)
def out_file(call: Call) -> Iterator[Value]:
    """Write text to a file."""
    _write(call, default="Unicode", append=bool(call["Append"]), error_id="FileOpenFailure")
    yield from ()


# --- archives -----------------------------------------------------------------------------------


@LIBRARY.cmdlet(
    "Expand-Archive",
    Parameter("Path", texts, position=0),
    _LITERAL,
    Parameter("DestinationPath", position=1),
    Parameter("Force", switch),
    owner="Expand-Archive",
)
def expand_archive(call: Call) -> Iterator[Value]:
    """Expand a zip; files that stand there already are refused without -Force."""
    destination = str(call["DestinationPath"] or "C:\\")
    for path, found in _named(call):
        if not found.is_file():
            raise call.failure(
                f"The path '{path}' either does not exist or is not a valid file system path.",
                "ArchiveCmdletPathNotFound",
                "InvalidArgument",
                exception="System.InvalidOperationException",
                target=path,
            )
        try:
            with zipfile.ZipFile(found) as archive:
                _expand(call, archive, path, destination)
        except (zipfile.BadZipFile, zlib.error, EOFError) as exc:
            raise call.failure(
                'Exception calling ".ctor" with "3" argument(s): "End of Central Directory record '
                f'could not be found." ({exc})',
                "InvalidDataException",
                "NotSpecified",
                exception="System.Management.Automation.MethodInvocationException",
                target=path,
            ) from exc
    yield from ()


def unpack(call: Call, archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Unpack one file, as fast as the disk is today."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("wb") as sink:
        while chunk := source.read(_CHUNK_BYTES):
            call.world.share_days.delay(len(chunk))
            sink.write(chunk)


def _expand(call: Call, archive: zipfile.ZipFile, path: str, destination: str) -> None:
    members = archive.infolist()
    locate(call, destination).mkdir(parents=True, exist_ok=True)
    for done, member in enumerate(members):
        call.streams.progress(
            f"The archive file '{path}' expansion is in progress...",
            member.filename,
            100 * done // len(members),
        )
        shown = str(PureWindowsPath(destination, member.filename))
        target = locate(call, shown)
        if member.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        if target.exists() and not call["Force"]:
            raise call.failure(
                f"Failed to create file '{shown}' while expanding the archive file '{path}' contents "
                f"as the file '{shown}' already exists. Use the -Force parameter if you want to "
                f"overwrite the existing directory '{destination}' contents when expanding the "
                "archive file.",
                "ExpandArchiveFileExists",
                "PermissionDenied",
                exception="System.IO.IOException",
                target=shown,
            )
        check_change(call, shown, "ExpandArchive", grows=True)
        unpack(call, archive, member, target)
    call.streams.progress(f"The archive file '{path}' expansion is in progress...", "", 100)
