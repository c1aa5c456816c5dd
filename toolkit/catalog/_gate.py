"""What may leave on a medium: proven, or unproven with somebody's name under it. Pure."""

from __future__ import annotations

from toolkit.errors import DigestError, InputError
from toolkit.model import FileVerdict, HeldPayload, Judgement

SET_ASIDE = "set it aside with `ferry catalog verify --quarantine`, then download it again"
"""What to do about held bytes that are not, or no longer, what they should be."""


def require_fit_to_travel(held: HeldPayload) -> None:
    """Return if a payload may be written to a medium.

    Raises:
        DigestError: The file is bad.
        InputError: Its published hash is impossible, or nobody has accepted it unproven.
    """
    attempted = f"carry {held.name} of {held.shelf}"
    verdict = held.judgement.verdict
    found = f"{verdict.value}: {'; '.join(held.judgement.reasons)}"
    if verdict is FileVerdict.BAD:
        raise DigestError(attempted, found=found, hint=SET_ASIDE)
    if verdict is FileVerdict.HASH_IMPOSSIBLE:
        raise InputError(
            attempted,
            found=found,
            expected="a reviewed hash that the file has",
            hint=advice(held.judgement),
        )
    if verdict is FileVerdict.UNPROVEN and held.acceptance is None:
        raise InputError(
            attempted,
            found=found,
            expected="two witnesses for it, or somebody who accepts it by name",
            hint=(
                f'find another witness, or answer for it: ferry catalog accept "{held.shelf}/{held.name}" '
                '--reason "…"'
            ),
        )


def advice(judgement: Judgement) -> str:
    """Return what to do about a file that may not travel."""
    match judgement.verdict:
        case FileVerdict.BAD:
            return "download it again, from another line or place"
        case FileVerdict.HASH_IMPOSSIBLE:
            return (
                "the published hash may be the culprit, but a file altered on purpose looks the same: "
                "get the right hash from the vendor over another channel, review it into the manifest, "
                "and download again"
            )
        case _:
            return "download it again from another place and compare with the vendor"
