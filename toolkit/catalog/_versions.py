"""What a person types for a version → the one full version that is meant. Pure.

Accepted: `12.2603.1002.15`, `Solution12.2603.1002.15`, `redmond/Solution12.2603.1002.15`, and any
beginning of a known version, with or without its first number: `11.2505`, `2505`, `2411.3`.

Source: release-information-23h2.md (short forms in prose), update-via-powershell-23h2.md (resource ids).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from toolkit.errors import InputError
from toolkit.model import SolutionVersion

_SHORT = re.compile(
    r"(?:[A-Za-z0-9_.-]+/)?(?:Solution)?(?:(10|11|12)\.)?(\d{4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?\Z",
    re.IGNORECASE | re.ASCII,
)


def resolve_version(text: str, known: Iterable[SolutionVersion]) -> SolutionVersion:
    """Return the full version that `text` means; a full version need not be known.

    Raises:
        InputError: Not a version, or a short form that fits no known version, or several.
    """
    try:
        return SolutionVersion.parse(text)
    except ValueError:
        found = _SHORT.match(text.strip())
    if found is None:
        raise InputError(
            "read version",
            found=repr(text),
            expected="12.2603.1002.15, or a beginning of it such as 12.2603 or 2603",
            hint="type it as `ferry catalog list` shows it",
        )
    wanted = [None if part is None else int(part) for part in found.groups()]
    fitting = sorted({version for version in known if _begins(version, wanted)})
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise InputError(
            "read version",
            found=f"{text!r}, which fits no known version",
            hint="`ferry catalog list` shows the known ones; a full version is always accepted",
        )
    raise InputError(
        "read version",
        found=f"{text!r}, which fits {', '.join(map(str, fitting))}",
        expected="one version",
        hint="write one of them in full",
    )


def _begins(version: SolutionVersion, wanted: list[int | None]) -> bool:
    parts = (version.product, version.release, version.train, version.build)
    return all(want in (None, part) for want, part in zip(wanted, parts, strict=True))
