"""The drive C: of a simulated node, kept in an ordinary folder.

Windows paths come in, paths of this machine go out. Names are found whatever their case, as NTFS
finds them, and the stored spelling is kept. A mount hangs another folder under the root of the
drive: the Cluster Shared Volumes stand under `C:\\ClusterStorage` on every node, and all nodes must
see the same files there.

Source: Microsoft Learn, "Naming Files, Paths, and Namespaces" (separators, reserved names and
characters, the `\\\\?\\` prefix).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_RESERVED_NAMES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [f"{device}{number}" for device in ("COM", "LPT") for number in range(10)]
)
_RESERVED_CHARACTERS = frozenset('<>:"|?*') | frozenset(map(chr, range(32)))


class FileTree:
    """One drive: a root folder and the folders mounted under its first level."""

    def __init__(self, root: Path, mounts: Mapping[str, Path] | None = None) -> None:
        self.root = root
        self.mounts = dict(mounts or {})
        self._mounts = {name.casefold(): (name, folder) for name, folder in (mounts or {}).items()}

    def resolve(self, path: str) -> Path:
        r"""Find where a Windows path of this drive lies on this machine.

        What exists is found without regard to case; the rest of the path is taken as spelled, so
        the answer may name something that does not exist yet.

        Args:
            path: Relative to the drive's root, with either separator, with or without a leading
                one; `C:\x` and `\\?\C:\x` are taken too.

        Raises:
            ValueError: The path leaves the drive, or Windows could not store such a name.
        """
        components = _components(path)
        found = self.root
        if components and components[0].casefold() in self._mounts:
            found = self._mounts[components.pop(0).casefold()][1]
        for component in components:
            found = _child(found, component)
        return found

    def entries(self, path: str) -> list[tuple[str, Path]]:
        """List a folder as the drive shows it, mounts included, sorted by name.

        Raises:
            ValueError: As `resolve`.
            OSError: The folder cannot be listed.
        """
        folder = self.resolve(path)
        found = [(entry.name, entry) for entry in folder.iterdir()]
        if not _components(path):
            found = [(name, entry) for name, entry in found if name.casefold() not in self._mounts]
            found.extend(self._mounts.values())
        return sorted(found, key=lambda item: item[0].casefold())

    def volume(self, path: str) -> Path:
        """Tell the folder of the volume a path lies on: a mount's, or the drive's own.

        Raises:
            ValueError: As `resolve`.
        """
        first, *_ = [*_components(path), ""]
        return self._mounts.get(first.casefold(), ("", self.root))[1]


def _components(path: str) -> list[str]:
    """Split a path of drive C: into checked names."""
    rest = path.replace("/", "\\")
    if rest.startswith("\\\\?\\"):
        rest = rest[4:]
        if rest[1:2] != ":":
            raise ValueError(f"{path!r} is not on drive C:")
    elif rest.startswith("\\\\"):
        raise ValueError(f"{path!r} names another machine, not drive C:")
    if rest[1:2] == ":":
        if rest[0] not in "cC" or rest[2:3] not in ("", "\\"):
            raise ValueError(f"{path!r} is not an absolute path of drive C:")
        rest = rest[2:]
    names = [name for name in rest.split("\\") if name not in ("", ".")]
    for name in names:
        _check_name(name, path)
    return names


def _check_name(name: str, path: str) -> None:
    if name == "..":
        raise ValueError(f"{path!r} climbs with '..'")
    if name.split(".")[0].rstrip(" ").upper() in _RESERVED_NAMES:
        raise ValueError(f"{path!r} holds {name!r}, a name Windows keeps for a device")
    if name[-1] in ". " or not _RESERVED_CHARACTERS.isdisjoint(name):
        raise ValueError(f"{path!r} holds {name!r}, a name Windows cannot store")


def _child(folder: Path, name: str) -> Path:
    """Find one name in a folder: as spelled if it is there, else in any case."""
    exact = folder / name
    if exact.exists() or exact.is_symlink() or not folder.is_dir():
        return exact
    wanted = name.casefold()
    return next((entry for entry in folder.iterdir() if entry.name.casefold() == wanted), exact)
