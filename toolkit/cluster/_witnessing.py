"""What a site can state about an update on a cluster, for the receipts that go home with the medium."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from toolkit.cluster._importing import ImportResult
from toolkit.cluster._running import Sight
from toolkit.cluster._timekeeping import TIME_STEP
from toolkit.errors import StateError
from toolkit.model import UpdateState
from toolkit.site import Journal

if TYPE_CHECKING:  # with TUF; an update run needs none of it
    from toolkit.media import Register, Written


def state_import(
    register: Register, result: ImportResult, *, cluster: str, journal: Journal
) -> Written:
    """Add a receipt that a cluster lists an update, with the hashes that a node found of its files.

    The hashes, and the time by which the medium was accepted last, come from the journal: an import that
    was interrupted is stated whole.

    Args:
        register: The receipts of the medium.
        result: How the import ended.
        cluster: The cluster.
        journal: Of the site.

    Raises:
        StateError: The cluster does not list the update yet.
        StorageError: The journal, or the medium, cannot be read or written.
        InputError: The journal was edited, or the receipt cannot be written.
    """
    if result.update is None:
        raise StateError(
            f"write a receipt of the import of {result.version}",
            current="not listed",
            expected="an update that the cluster lists",
            hint="run the same command again; it asks on for the whole waiting time",
        )
    subject, targets = f"import {result.version}", dict[str, str]()
    time: Mapping[str, str] = {}
    for entry in journal.entries(cluster=cluster):
        what, _, name = entry.step.partition(" ")
        if entry.forgets_cluster:  # another cluster of this name: nothing before counts
            targets.clear()
            time = {}
        elif (entry.subject, entry.step) == (subject, TIME_STEP):
            time = entry.facts
        elif (entry.subject, what, entry.outcome) == (subject, "copy", "done"):
            targets[name] = entry.facts["sha256"]
    return register.imported(
        cluster=cluster,
        version=str(result.version),
        state=result.update.state_raw,
        targets=targets,
        time=time,
    )


def state_result(register: Register, sight: Sight, *, cluster: str) -> Written:
    """Add a receipt of how an update ended on a cluster.

    Raises:
        StateError: It has not ended.
        StorageError: The medium cannot be read or written.
        InputError: The receipt cannot be written.
    """
    update = sight.update
    if not (sight.has_failed or update.state is UpdateState.Installed) or sight.is_moving:
        raise StateError(
            f"write a receipt of the result of {update.version}",
            current=update.state_raw,
            expected="an update that is installed, or failed",
            hint="wait for its end: ferry run watch",
        )
    return register.result(
        cluster=cluster,
        version=str(update.version),
        state=update.state_raw,
        run_state=sight.run.state_raw if sight.run else "none",
        has_failed=sight.has_failed,
    )
