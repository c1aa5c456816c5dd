"""Names of payloads and addresses that mean the same everywhere: NTFS, exFAT, ext4, a cluster share, https. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_LONGEST_NAME = 120
"""Leaves room for a folder in Windows' classic limit of 260 characters a path."""

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z")
_OURS = (".part", ".journal", ".json", ".lock", ".tmp")
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?\Z", re.IGNORECASE
)


def is_device_name(name: str) -> bool:
    """Whether Windows takes this file name, with any ending, for a device.

    Source: learn.microsoft.com, "Naming Files, Paths, and Namespaces".
    """
    return _DEVICE.match(name) is not None


def payload_name(text: str) -> str:
    """Return `text` if it can be a payload's name everywhere.

    Raises:
        ValueError: A path, a Windows device name, characters some file system refuses, a trailing
            dot, or an ending the catalog uses for its own files.

    Source: learn.microsoft.com, "Naming Files, Paths, and Namespaces".
    """
    if not _SAFE.match(text) or len(text) > _LONGEST_NAME or text.endswith("."):
        raise ValueError(f"{text!r} is not a plain file name")
    if is_device_name(text):
        raise ValueError(f"{text!r} is a device on Windows")
    if text.lower().endswith(_OURS):
        raise ValueError(f"{text!r} ends like one of the catalog's own files")
    return text


def shown(url: str) -> str:
    """Return an address as it may stand in a message: without a user, a password or a signed query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an unreadable address"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "…" if parts.query else "", ""))


def https_url(text: str) -> str:
    """Return `text` if it is a URL we would fetch from.

    Raises:
        ValueError: Not https, no host, or carrying a password.
    """
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ValueError("an address whose host cannot be read") from error
    if "@" in parts.netloc:  # not repeated: it may be a password
        raise ValueError("an address with a user name or password in it")
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"{shown(text)!r} is not a plain https URL")
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError(f"{shown(text)!r} has a blank or control character in it")
    return text
