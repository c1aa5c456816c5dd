"""Shelves: where the catalog keeps the payloads that belong together. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.model import SolutionVersion
from toolkit.names import payload_name
from toolkit.sbe import SbeVersion

_SBE = "sbe"
_LONGEST = 80
"""Of an SBE shelf's folder: with the longest payload name and our endings below 260 characters."""
_PAIR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where the catalog keeps what belongs together: the payloads of one update, or one SBE."""

    version: SolutionVersion | None = None
    """The update; None: an SBE."""
    publisher: str = ""
    family: str = ""
    sbe_version: SbeVersion | None = None

    @classmethod
    def parse(cls, text: str) -> Shelf:
        """Read `12.2603.1002.15` or `sbe/<publisher>_<family>_<version>`; a family may hold `_`.

        Raises:
            ValueError: Neither, or not a folder's name everywhere.
        """
        folder, slash, name = text.rpartition("/")
        if not slash:
            version = SolutionVersion.parse(text)
            if str(version) != text:
                raise ValueError(f"{text!r} is not a full version")
            return cls(version=version)
        parts = name.split("_", 1)
        rest = parts[-1].rsplit("_", 1)
        if folder != _SBE or len(parts) != len(rest) or len(rest) != _PAIR or len(name) > _LONGEST:
            raise ValueError(f"{text!r} is not a shelf such as sbe/Dell_AX-16G_4.2.2506.1600")
        for part in (parts[0], rest[0]):
            payload_name(part)
        shelf = cls(publisher=parts[0], family=rest[0], sbe_version=SbeVersion.parse(rest[1]))
        if str(shelf) != text:
            raise ValueError(f"{text!r} is not spelt as {shelf}")
        return shelf

    def __str__(self) -> str:
        """Return its path below the catalog's folder."""
        if self.version is not None:
            return str(self.version)
        return f"{_SBE}/{self.publisher}_{self.family}_{self.sbe_version}"
