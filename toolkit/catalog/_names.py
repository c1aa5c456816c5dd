"""File names that mean the same on every disk a payload may visit: NTFS, exFAT, ext4, a cluster share."""

from __future__ import annotations

import re

from toolkit.model import is_device_name

LONGEST_NAME = 120
"""Leaves room for a folder in Windows' classic limit of 260 characters a path."""

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z")
_OURS = (".part", ".json", ".lock", ".tmp")


def payload_name(text: str) -> str:
    """Return `text` if it can be a payload's name everywhere.

    Raises:
        ValueError: A path, a Windows device name, characters some file system refuses, a trailing
            dot, or an ending the catalog uses for its own files.

    Source: learn.microsoft.com, "Naming Files, Paths, and Namespaces".
    """
    if not _SAFE.match(text) or len(text) > LONGEST_NAME or text.endswith("."):
        raise ValueError(f"{text!r} is not a plain file name")
    if is_device_name(text):
        raise ValueError(f"{text!r} is a device on Windows")
    if text.lower().endswith(_OURS):
        raise ValueError(f"{text!r} ends like one of the catalog's own files")
    return text
