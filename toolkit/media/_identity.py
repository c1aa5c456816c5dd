"""Which medium of its set a folder is, and whether its `complete.json` says what was signed.

Nobody signs the number of a medium, nor that it is a supplement. The label in `bag-info.txt` tells, where the tag
manifest agrees with it; else `complete.json` or `writing.json`; else that label alone; last the files. Whichever is
believed, a lie makes files missing or foreign, never good. All else that `complete.json` says was signed, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path

from toolkit.errors import InputError, shortened
from toolkit.media._bag import INFO, MANIFEST, TAG_MANIFEST, read_manifest
from toolkit.media._keys import as_instant
from toolkit.media._names import SUPPLEMENT, medium_label
from toolkit.media._set import COMPLETE, SET_PATH, WRITING, Intent, SetPlan, read_small
from toolkit.model import Sha256

_LABEL = "External-Identifier: "
_NUMBER = re.compile(r" (\d{1,2})/", re.ASCII)


def label_of(folder: Path) -> str:
    """Return what a folder's bag-info.txt says is printed on the medium; empty: nothing."""
    with contextlib.suppress(OSError, InputError):
        for line in read_small(folder / INFO).decode(errors="replace").splitlines():
            if line.startswith(_LABEL):
                return line.removeprefix(_LABEL)
    return ""


def is_supplement(folder: Path) -> bool:
    """Whether a folder says that it is one; which pieces are good on it is seen when they are read."""
    said = () if _is_listed(folder) else tuple(_said(folder))
    if said:
        return any(intent.supplement for intent in said)
    return label_of(folder).endswith(medium_label("", SUPPLEMENT, 0))


def sets_named(folder: Path) -> tuple[str, ...]:
    """Return the ids of the sets that a folder's own documents name, as far as they can be read."""
    named = [intent.set_id for intent in _said(folder)]
    with contextlib.suppress(OSError, InputError):
        named.insert(0, SetPlan.from_bytes(read_small(folder / SET_PATH), file=SET_PATH).set_id)
    return tuple(named)


def part_of(folder: Path, plan: SetPlan) -> tuple[int, tuple[str, ...]]:
    """Return which medium of its set a folder is, and of a supplement (0) the paths of its pieces.

    Raises:
        OSError: Nothing on it says so, and its files cannot be looked at.
    """
    by_label = _by_label(folder, plan)
    if by_label is None or not _is_listed(folder):
        known = {piece.path for file in plan.files for piece in file.pieces}
        for intent in _said(folder):
            if intent.set_id != plan.set_id:
                continue
            if intent.supplement and known.issuperset(intent.supplement):
                return SUPPLEMENT, intent.supplement
            if 1 <= intent.medium <= plan.media_count:
                return intent.medium, ()
    if by_label is not None:
        return by_label
    pieces = (piece for file in plan.files for piece in file.pieces)
    return next((piece.medium for piece in pieces if (folder / piece.path).exists()), 1), ()


def contradiction(said: Intent, signed: Intent) -> str:
    """Return how what a set says of itself differs from what was signed of it; empty: in nothing."""
    pairs = [
        (item.name, getattr(said, item.name), getattr(signed, item.name)) for item in fields(Intent)
    ]
    return ", ".join(_difference(*pair) for pair in pairs if pair[1] != pair[2])


def _difference(name: str, said: object, signed: object) -> str:
    if isinstance(said, tuple):
        return f"other {name}"
    return f"{name} {_shown(said)} instead of {_shown(signed)}"


def _shown(value: object) -> str:
    return as_instant(value) if isinstance(value, datetime) else shortened(repr(value))


def _said(folder: Path) -> Iterator[Intent]:
    """Yield what the folder's own documents say of it, as far as they can be read."""
    for name in (COMPLETE, WRITING):
        with contextlib.suppress(OSError, InputError):
            yield Intent.from_bytes(read_small(folder / name), file=name)


def _by_label(folder: Path, plan: SetPlan) -> tuple[int, tuple[str, ...]] | None:
    """Return which medium it is by its label; None: that is none of this set's."""
    label = label_of(folder)
    if label != plan.label(SUPPLEMENT):
        found = _NUMBER.search(label)
        number = int(found[1]) if found else 0
        is_known = 1 <= number <= plan.media_count and plan.label(number) == label
        return (number, ()) if is_known else None
    listed = _listed(folder, MANIFEST)
    pieces = [piece.path for file in plan.files for piece in file.pieces]
    carried = tuple(
        path for path in pieces if (path in listed if listed else (folder / path).exists())
    )
    return (SUPPLEMENT, carried) if carried else None


def _is_listed(folder: Path) -> bool:
    """Whether label and manifest are those for which the tag manifest was written."""
    tags = _listed(folder, TAG_MANIFEST)
    with contextlib.suppress(OSError, InputError):
        return all(
            tags.get(name) == hashlib.sha256(read_small(folder / name)).hexdigest()
            for name in (INFO, MANIFEST)
        )
    return False


def _listed(folder: Path, name: str) -> Mapping[str, Sha256]:
    with contextlib.suppress(OSError, InputError):
        return read_manifest(read_small(folder / name), file=name)
    return {}
