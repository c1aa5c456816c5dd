"""Who may write on the infrastructure share: one run of ferry at a time, without a lock that could be left.

Theory of operation. A run takes the next higher number by making a file of that name, which only one can;
from then on the highest number counts. Before each change a run asks whether its number still is the
highest, and stops if it is not. What lies between asking and changing is closed by names: an unfinished
file carries its writer's number, so an old writer never touches what the new one writes. The submission is
closed by order: its holder writes down the intent *and then* asks for the token; a new holder takes the token
*and then* reads the intents. So of two at least one sees the other, and nothing is added twice.

A new run takes over at once from a run that has ended, and from one of the same site on the same machine,
which must be dead because the site is locked. From another it takes over only when nothing on the share
grew for a while.
"""

from __future__ import annotations

import platform
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PureWindowsPath
from typing import Protocol

from toolkit.cluster._cmdlets import IMPORT_FOLDER, make_folder, roads, share
from toolkit.cluster._share_records import (
    LAST_TOKEN,
    MOST_BYTES,
    RECORDS_FOLDER,
    ImportStep,
    Outcome,
    ShareRecord,
    Token,
    newest_token,
    records_folder,
    token_file,
)
from toolkit.errors import CommandError, InputError, StateError
from toolkit.model import Command, Progress, SolutionVersion, T, human_size


class Asked(Protocol):
    """What is needed of a session with a node."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


@dataclass(slots=True, kw_only=True)
class Claim:
    """One run's right to write on the share."""

    version: SolutionVersion
    site_id: str
    progress: Progress
    sleep: Callable[[float], None]
    stall_s: float
    """So long nothing may grow on the share before it is taken from another laptop."""
    act: str = "import"
    """What the run does with the version, for its errors."""
    number: int = 0
    """The token; 0: not taken yet."""
    _holder: str = field(default_factory=lambda: str(uuid.uuid4()))
    _machine: str = field(default_factory=platform.node)
    _records: int = 0

    @property
    def next_number(self) -> int:
        """The number of the next record: a name for one attempt, which no other has."""
        return self._records + 1

    def hold(self, session: Asked) -> None:
        """Take the token, or make sure that it is still ours.

        Raises:
            StateError: Another laptop writes on the share, or somebody put a token there above which there is none.
            ReachError: The node went away; whether the token was taken is asked next time.
            ClusterError: The share cannot be written.
        """
        if self.number:
            self.check(session)
            return
        session.invoke(make_folder(records_folder(self.version)))
        while not self.number:
            highest, has_left = _newest(session)
            if highest >= LAST_TOKEN:
                raise self._no_higher(highest)
            if highest and not has_left:
                other = _told(session, highest)
                if other is not None and other.holder == self._holder:  # its reply was lost
                    self.number = highest
                    return
                self._await_end(session, highest, other)
            self._take(session, highest + 1)

    def check(self, session: Asked) -> None:
        """Make sure that nobody took over.

        Raises:
            StateError: Somebody did.
            ReachError: The node went away.
        """
        highest, _ = _newest(session)
        if highest != self.number:
            other = _told(session, highest) if highest else None
            raise StateError(
                f"{self.act} {self.version}",
                current=f"{_name(other)} took over the import folder (token {highest or 'gone'})",
                expected=f"token {self.number} of this run to be the highest",
                hint="nothing more is written from here. Go on there; or stop it there, and run the same command "
                "here again",
            )

    def record(
        self,
        session: Asked,
        step: ImportStep,
        outcome: Outcome,
        *,
        delivery: str,
        path: PureWindowsPath,
        node: str,
        facts: Mapping[str, str] | None = None,
        **more: str | int,
    ) -> ShareRecord:
        """Write one share record.

        Raises:
            ReachError: The node went away.
            ClusterError: The share cannot be written.
        """
        self._records += 1
        record = ShareRecord(
            token=self.number,
            number=self._records,
            step=step,
            outcome=outcome,
            delivery=delivery,
            path=str(path),
            node=node,
            site_id=self.site_id,
            machine=self._machine,
            facts=facts or {},
            **more,  # type: ignore[arg-type]
        )
        session.invoke(
            share.new_file(records_folder(self.version) / record.file_name, record.text())
        )
        return record

    def leave(self, session: Asked) -> None:
        """Say on the share that this run has ended.

        Raises:
            ReachError: The node went away.
            ClusterError: The share cannot be written.
        """
        session.invoke(share.new_file(token_file(self.number, "left"), ""))

    def _take(self, session: Asked, number: int) -> None:
        token = Token(
            number=number, holder=self._holder, site_id=self.site_id, machine=self._machine
        )
        try:
            session.invoke(share.new_file(token_file(number), token.text()))
        except CommandError:
            highest, _ = _newest(session)
            if highest < number:  # not because somebody was faster
                raise
        else:
            self.number = number

    def _no_higher(self, highest: int) -> StateError:
        return StateError(
            f"{self.act} {self.version}",
            current=f"{token_file(highest)}, and there is no higher token",
            expected=f"tokens below {LAST_TOKEN}: each run of ferry takes the next one",
            hint="no ferry counts that far, so somebody put it there. Make sure that no other ferry imports, have "
            "that file removed on a node (Remove-Item), and run the same command again",
        )

    def _await_end(self, session: Asked, number: int, other: Token | None) -> None:
        if other is not None and (other.site_id, other.machine) == (self.site_id, self._machine):
            return
        self.progress.say(
            f"{_name(other)} wrote last in the import folder and did not say that it ended (token {number}); "
            f"looking for {self.stall_s:.0f} s whether it still does"
        )
        before = _written(session)
        self.sleep(self.stall_s)
        now = _written(session)
        if now != before and _newest(session) != (number, True):  # it may just have ended
            raise StateError(
                f"{self.act} {self.version}",
                current=f"{_name(other)} is importing: {human_size(max(0, now[1] - before[1]))} more on the share "
                f"in {self.stall_s:.0f} s",
                expected="an import folder that nobody else writes",
                hint="let it end, or stop it there; then run the same command again",
            )


def _newest(session: Asked) -> tuple[int, bool]:
    names = session.invoke(share.names(RECORDS_FOLDER, "token-*"))
    return newest_token(names)


def _told(session: Asked, number: int) -> Token | None:
    """Return who holds a token; None where its file is torn, or no token of ferry."""
    file = token_file(number)
    try:
        if session.invoke(roads.measure(file)).size_bytes > MOST_BYTES:
            return None
        texts = session.invoke(share.texts((file,)))
        return Token.read("".join(texts))
    except InputError:
        return None


def _name(token: Token | None) -> str:
    return "another ferry" if token is None else f"ferry on {token.machine or 'another machine'}"


def _written(session: Asked) -> tuple[int, int]:
    """Return how many things stand in the import folder, and their bytes."""
    items = session.invoke(share.tree(IMPORT_FOLDER))
    return len(items), sum(item.size_bytes for item in items)
