"""Whether a command may begin at all: one cluster behind all names, and for an import a version that can.

Source: import-discover-updates-offline-23h2.md (the lowest version).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from toolkit.cluster import _cmdlets
from toolkit.cluster._sbe_carried import TargetSource
from toolkit.errors import AuthenticationError, ClusterError, InputError, ReachError, StateError
from toolkit.model import (
    Command,
    KnownCluster,
    Node,
    PayloadKind,
    Progress,
    SolutionVersion,
    T,
    Target,
)


class AskedSession(Protocol):
    """What is needed of a session with a node."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


def require_importing(
    known: KnownCluster,
    open_session: Callable[[Node], AbstractContextManager[AskedSession]],
    *,
    installed: str,
    lowest: SolutionVersion,
    progress: Progress,
) -> None:
    """Judge the installed version, and ask every node which cluster it belongs to.

    A node that does not answer is told and passed over: another one did.

    Args:
        known: The cluster as the site knows it.
        open_session: Opens a session with a node.
        installed: The installed version as the cluster tells it.
        lowest: The lowest one that can import.
        progress: Where it is said what could not be asked.

    Raises:
        InputError: The nodes belong to different clusters.
        StateError: The installed version cannot import.
        AuthenticationError: A node refused the credential; no other was asked.
    """
    require_one_cluster(known, open_session, progress=progress)
    _require_version(known.name, installed, lowest)


def bundles_of(medium: TargetSource) -> Mapping[SolutionVersion, Target]:
    """Return the solution bundles that a medium carries."""
    return {
        target.version: target
        for target in medium.targets()
        if target.kind is PayloadKind.SOLUTION_BUNDLE
    }


def require_carried(
    version: SolutionVersion, carried: Iterable[SolutionVersion], *, attempted: str
) -> None:
    """Refuse a version that the medium does not carry.

    Args:
        version: What is wanted.
        carried: The versions of the solution bundles on the medium.
        attempted: What it is wanted for, as a clause.

    Raises:
        InputError: It is not among them.
    """
    versions = sorted(set(carried))
    if version not in versions:
        raise InputError(
            attempted,
            found=f"the medium carries {', '.join(map(str, versions)) or 'no solution bundle'}",
            hint="name a version that is on the medium: ferry media show PATH",
        )


def require_one_cluster(
    known: KnownCluster,
    open_session: Callable[[Node], AbstractContextManager[AskedSession]],
    *,
    progress: Progress,
) -> None:
    """Ask every node which cluster it belongs to; one that does not answer is told and passed over.

    Args:
        known: The cluster as the site knows it.
        open_session: Opens a session with a node.
        progress: Where it is said what could not be asked.

    Raises:
        InputError: The nodes belong to different clusters.
        AuthenticationError: A node refused the credential; no other was asked.
    """
    names: dict[str, str] = {}
    for node in known.nodes:
        try:
            with open_session(node) as session:
                names[node.name] = session.invoke(_cmdlets.cluster_name())
        except AuthenticationError:
            raise
        except (ReachError, ClusterError, InputError) as error:
            progress.say(f"{node.name} does not say which cluster it belongs to: {error}")
    _require_same(known.name, names)


def _require_same(cluster: str, names: dict[str, str]) -> None:
    if len({name.casefold() for name in names.values()}) > 1:
        raise InputError(
            f"work with cluster {cluster}",
            found=", ".join(f"{node} says {name}" for node, name in names.items()),
            expected="nodes of one cluster",
            hint=f"nothing was changed; `ferry site remove-cluster {cluster}`, then add it again with its own "
            "nodes only: `ferry site add-cluster`",
        )


def _require_version(cluster: str, installed: str, lowest: SolutionVersion) -> None:
    try:
        version = SolutionVersion.parse(installed)
    except (
        ValueError
    ):  # `ferry cluster check` calls it unknown; the update service has the last word
        return
    if version < lowest:
        raise StateError(
            f"import into cluster {cluster}",
            current=f"version {version}",
            expected=f"{lowest} or later",
            hint=f"nothing was changed; the first update to {lowest} needs the connected way, from there on "
            "media will do",
        )
