"""Share records as they stand on the share: each read once, and only what can be one.

Who may write the share may put anything beside them, so what is no file, or longer than any record, is not read,
and what cannot be understood is named and passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from toolkit.cluster._cmdlets import share
from toolkit.cluster._cmdlets.share import ShareItem
from toolkit.cluster._share_records import MOST_BYTES, ShareRecord, records_folder
from toolkit.errors import InputError
from toolkit.model import Command, Progress, SolutionVersion, T, human_size


class Asked(Protocol):
    """What is needed of a session with a node."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


@dataclass(slots=True, kw_only=True)
class RecordReader:
    """Reads the share records that one run of ferry comes across."""

    _read: dict[ShareItem, ShareRecord | None] = field(default_factory=dict)
    """What stood in a file that has not changed since; None: it is passed over."""

    def records(
        self,
        session: Asked,
        items: Iterable[ShareItem],
        version: SolutionVersion,
        *,
        progress: Progress,
    ) -> tuple[ShareRecord, ...]:
        """Return the records of a version among what stands in the import folder, oldest first.

        Raises:
            ReachError: The node went away.
            CommandError: It does not let us read there.
        """
        folder = records_folder(version)
        found = (item for item in items if item.path.parent == folder and not item.is_folder)
        files = sorted(found, key=lambda item: item.path.name)
        fresh = [item for item in files if item not in self._read]
        texts = _texts(session, [item for item in fresh if item.size_bytes <= MOST_BYTES])
        for item in fresh:
            try:
                self._read[item] = _understood(item, texts.get(item))
            except InputError as error:
                self._read[item] = None
                progress.say(f"share record {item.path.name} is passed over: {error}")
        return tuple(record for item in files if (record := self._read[item]) is not None)


def _understood(item: ShareItem, text: str | None) -> ShareRecord:
    if text is None:
        raise InputError(
            "read a share record",
            found=human_size(item.size_bytes),
            expected=f"at most {human_size(MOST_BYTES)}",
        )
    return ShareRecord.read(text)


def _texts(session: Asked, files: Sequence[ShareItem]) -> Mapping[ShareItem, str]:
    """Read files in one command; one by one where one of them is empty, which the cmdlet passes over."""
    if not files:
        return {}
    texts = session.invoke(share.texts(tuple(item.path for item in files)))
    if len(texts) != len(files):
        each = [session.invoke(share.texts((item.path,))) for item in files]
        texts = tuple("".join(one) for one in each)
    return dict(zip(files, texts, strict=True))
