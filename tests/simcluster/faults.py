"""What goes wrong on purpose: named faults, armed in this process or through a JSON file.

The file (`{"faults": [{"kind": "drop", "cmdlet": "Add-SolutionUpdate", "when": "after"}, …]}`) is read
again whenever it changes; its content then replaces the faults it armed before. A test in another
process writes it beside and renames it.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

Kind = Literal[
    "drop",
    "slow",
    "refuse-password",
    "down",
    "reboot",
    "refuse-add",
    "fail-node",
    "delay-discovery",
    "other-update",
    "move-update-service",
    "gateway-timeout",
    "cau",
    "smb-drop",
    "slow-disk",
    "share-full",
    "read-only-share",
]


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault.

    drop: cut the connection `when` (before or after the request was carried out).
    slow: carry the request out, then wait `seconds` before answering.
    refuse-password: every password is refused.
    down: the node refuses connections as long as the fault is armed.
    reboot: the node goes down for `seconds`; its shells are gone, and with the words `unflushed` also what was
        written to its share and not flushed.
    refuse-add: Add-SolutionUpdate refuses with `words`.
    fail-node: the CAU run fails on `node`, in the way `words` names (default: installer-blocked).
    delay-discovery: an added update is listed after `count` polls.
    other-update: another update is in progress as long as the fault is armed.
    move-update-service: the update service goes to `node` and does not answer for `seconds`.
    gateway-timeout: the update service answers GatewayTimeout when asked more than `count` times in `seconds`.
    cau: the CAU run goes wrong in the way `words` names (`seconds`: how long CAU outlives the update run).
    smb-drop: cut an SMB connection of `node` at the write with which it has written `after_bytes`;
        that write is carried out and never answered.
    slow-disk: each MiB that is written on the share takes `seconds`, as long as the fault is armed.
    share-full: the share has no room left as long as the fault is armed.
    read-only-share: nothing may be written on the share as long as the fault is armed.
    """

    kind: Kind
    node: str = ""
    """Only on this node; empty: on every node."""
    cmdlet: str = ""
    """drop, slow: only requests of pipelines that run this cmdlet."""
    verb: str = ""
    """drop, slow: only this WSMan action (`Command`, `Receive` …)."""
    skip: int = 0
    """drop, slow: let this many matching requests pass first."""
    times: int | None = 1
    """drop, slow, refuse-add, smb-drop: how often; None: always."""
    when: Literal["before", "after"] = "before"
    seconds: float = 0.0
    words: str = ""
    count: int = 0
    after_bytes: int = 0


class Faults:
    """The faults that are armed just now."""

    def __init__(self, control: Path) -> None:
        self.control = control
        self._armed: list[Fault] = []
        self._from_file: list[Fault] = []
        self._seen: tuple[int, int, int] | None = None
        self._lock = threading.Lock()

    def arm(self, kind: Kind, **details: Any) -> Fault:
        """Arm a fault from inside this process."""
        fault = Fault(kind=kind, **details)
        with self._lock:
            self._armed.append(fault)
        return fault

    def disarm(self, fault: Fault) -> None:
        """Take a fault back; one that is used up already is no mistake."""
        with self._lock:
            self._armed = [one for one in self._armed if one is not fault]

    def take(
        self,
        kind: Kind,
        *,
        node: str = "",
        cmdlets: frozenset[str] | set[str] = frozenset(),
        verb: str = "",
        when: str = "",
        written_bytes: int = 0,
    ) -> Fault | None:
        """Return a fault that strikes this request, and count it."""
        with self._lock:
            for fault in self._all():
                if fault.kind != kind or fault.times == 0 or not _concerns(fault, node):
                    continue
                if when and fault.when != when:
                    continue
                if fault.verb and fault.verb.lower() != verb.lower():
                    continue
                if fault.cmdlet and fault.cmdlet.lower() not in cmdlets:
                    continue
                if written_bytes < fault.after_bytes:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def standing(self, kind: Kind, node: str = "") -> Fault | None:
        """Return a fault of a kind that holds as long as it is armed; it is not counted."""
        with self._lock:
            return next(
                (one for one in self._all() if one.kind == kind and _concerns(one, node)), None
            )

    def _all(self) -> list[Fault]:
        return [*self._armed, *self._from_file]

    def reread(self) -> None:
        """Look whether the control file changed.

        Raises:
            ValueError: It is no list of faults.
        """
        try:
            status = self.control.stat()
        except FileNotFoundError:
            state = None
        else:
            state = (status.st_mtime_ns, status.st_size, status.st_ino)
        with self._lock:
            if state == self._seen:
                return
            try:
                self._from_file = [] if state is None else _read(self.control)
            except (FileNotFoundError, PermissionError):
                return  # it is just being replaced; the next look sees it whole
            self._seen = state


def _concerns(fault: Fault, node: str) -> bool:
    return not fault.node or not node or fault.node.lower() == node.lower()


def _read(path: Path) -> list[Fault]:
    known = {field.name for field in fields(Fault)}
    faults = []
    for entry in json.loads(path.read_text(encoding="utf-8"))["faults"]:
        if entry.get("kind") not in get_args(Kind) or not set(entry) <= known:
            raise ValueError(f"{path}: {entry} is no fault; known kinds: {get_args(Kind)}")
        faults.append(Fault(**entry))
    return faults
