"""Files that came by another way than `ferry catalog download`, such as a browser, each of its sort."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from toolkit.catalog._holding import Holding, wanted_of
from toolkit.catalog._judging import Wanted
from toolkit.catalog._loading import Manifests
from toolkit.catalog._sbe import VendorProof, add_sbe, fetch_sbe, is_sbe_source
from toolkit.catalog._sbe_finding import role_of
from toolkit.catalog._storage import storage
from toolkit.errors import InputError
from toolkit.model import HeldPayload, PayloadKind, Progress
from toolkit.sbe import sbe_named

_BUNDLE = re.compile(
    r"CombinedSolutionBundle\.(\d+(?:\.\d+){3})(?: ?\(\d{1,3}\))?\.zip\Z", re.IGNORECASE
)
"""Source: import-discover-updates-offline-23h2.md (names of the download table).

A browser appends ` (1)` to a name that is taken."""
_LEFT_SHOWN = 5

_ACCEPTED = (
    "CombinedSolutionBundle.<version>.zip, or a folder with it",
    "the files of one SBE, their folder, or the vendor's zip with them",
    "the title of an SBE such as SBE_Dell_AS-HCI-AX-16G_4.2.2506.1600, to be fetched",
)


def add(
    holding: Holding,
    paths: Iterable[Path],
    *,
    manifests: Manifests,
    proof: VendorProof,
    progress: Progress,
) -> tuple[HeldPayload, ...]:
    """Take files into the catalog, and fetch the SBEs that are named by their title only.

    Arguments and errors: `Catalog.add`.
    """
    bundles, parts, titles, strange = [], [], [], []
    for path in dict.fromkeys(paths):
        files, left_over = _files(path), []
        for file in files:
            if named := _BUNDLE.match(file.name):
                bundles.append((file, named[1]))
            elif is_sbe_source(file) if file is path else role_of(file.name):
                parts.append(file)
            elif file is path and _is_title(file):
                titles.append(file.name)
            else:
                left_over.append(file.name)
        if len(left_over) == len(files):
            strange.append(path)
        elif left_over:
            names = ", ".join(left_over[:_LEFT_SHOWN]) + (" …" if left_over[_LEFT_SHOWN:] else "")
            progress.say(f"{path}: {len(left_over)} others are left alone: {names}")
    if strange:
        raise InputError(
            "add files",
            found=", ".join(map(str, strange)),
            expected=" or ".join(_ACCEPTED),
            hint="give a file its published name; nothing was added",
        )
    wanted = [(file, _bundle_of(version, file, manifests)) for file, version in bundles]
    held = [holding.take_in(file, bundle, progress, is_unread=True) for file, bundle in wanted]
    if parts:
        held += add_sbe(holding, parts, progress=progress, proof=proof)
    for title in titles:
        held += fetch_sbe(holding, title, progress=progress, proof=proof)
    return tuple(held)


def _files(path: Path) -> list[Path]:
    """Return what is in a folder; of a file or title, itself."""
    with storage(f"read {path}"):
        return sorted(path.iterdir()) if path.is_dir() else [path]


def _is_title(path: Path) -> bool:
    is_file_name = path.name.lower().endswith((".xml", ".zip"))
    is_name = not path.exists() and path.parent == Path() and not is_file_name
    return is_name and sbe_named(path.name) is not None


def _bundle_of(version: str, path: Path, manifests: Manifests) -> Wanted:
    """Return the solution bundle that the manifest of a version declares.

    Raises:
        InputError: A version without a manifest, or one that declares none.
    """
    manifest = manifests.find(version)
    for payload in manifest.payloads:
        if payload.kind is PayloadKind.SOLUTION_BUNDLE:
            return wanted_of(manifest, payload, tuple(manifests))
    raise InputError(
        f"add {path}",
        found=f"no solution bundle in the manifest of {manifest.version}",
        hint=f"see what it declares: `ferry catalog show {manifest.version}`",
    )
