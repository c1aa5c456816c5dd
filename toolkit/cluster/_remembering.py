"""Takes the baseline of a cluster, and keeps it at the site; on the cluster nothing is changed.

Layout, in the site's directory::

    baselines/plant7.json                          the baseline that counts
    baselines/plant7.until-20261126T120000Z.json   one that was replaced then; a second one, within that
                                                   second, is `until-20261126T120000Z-2`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

from toolkit.cluster._baseline import Baseline, NodeSettings, read_baseline, write_baseline
from toolkit.cluster._checking import CheckSession, NodeAsk
from toolkit.cluster._checks._drift import ask_setup
from toolkit.errors import InputError
from toolkit.filesystem import on_storage, open_regular, read_regular, write_beside
from toolkit.model import Node, Progress
from toolkit.site import Site

BASELINE_STEP = "baseline"
"""What the journal calls it."""


def ask_settings(
    nodes: Sequence[Node],
    open_session: Callable[[Node], AbstractContextManager[CheckSession]],
    *,
    progress: Progress,
) -> Iterator[NodeSettings]:
    """Ask every node how it is set up, one after the other: a refused password must not be tried twice.

    Args:
        nodes: All of a cluster.
        open_session: Opens a session with a node.
        progress: Where steps are reported.

    Raises:
        ReachError: A node was not reached: a baseline is of all nodes.
    """
    for node in nodes:
        progress.say(f"{node.name}: asking how it is set up")
        with open_session(node) as session:
            ask = NodeAsk(session)
            setup = ask_setup(ask)
        if ask.error is not None:
            raise ask.error
        yield setup.settings(node.name)


def keep_baseline(site: Site, baseline: Baseline) -> Path:
    """Keep a baseline at the site, and what stood there beside it; write that into the journal. Hold `lock`.

    Raises:
        InputError: What stands there is a pipe or a device, or the journal ends in zeros.
        StorageError: The site cannot be written.
    """
    path = _file(site, baseline.cluster)
    note = partial(
        site.journal.append,
        cluster=baseline.cluster,
        subject="site",
        step=BASELINE_STEP,
        by=baseline.by,
        solution_version=baseline.solution_version,
    )
    note(outcome="intent")
    with on_storage(f"keep the baseline of {baseline.cluster}"):
        path.parent.mkdir(exist_ok=True)
        if path.exists():  # copied: until the new one is whole, the earlier one counts
            with open_regular(path) as earlier:
                write_beside(_earlier(path, baseline.taken_at), earlier, is_locked=True)
        write_beside(path, write_baseline(baseline), is_locked=True)
    note(outcome="done")
    return path


def _earlier(path: Path, until: datetime) -> Path:
    """Return the name for a baseline that is replaced, which no other one has."""
    name = f"{path.stem}.until-{until.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    names = (name if n == 1 else f"{name}-{n}" for n in count(1))
    return next(free for n in names if not (free := path.with_name(f"{n}.json")).exists())


def kept_baseline(site: Site, cluster: str, *, warn: Callable[[str], None]) -> Baseline | None:
    """Return the baseline of a cluster that is kept at the site; None: there is none.

    One that was taken before the cluster was removed from the site is of another cluster of its name.

    Args:
        site: Where it is kept.
        cluster: As the site calls it.
        warn: Told of such a one, and what to do.

    Raises:
        InputError: The file is not what `keep_baseline` wrote, or the journal cannot be understood.
        StorageError: It cannot be read.
    """
    path = _file(site, cluster)
    with on_storage(f"read the baseline of {cluster}"):
        try:
            data = read_regular(path)
        except FileNotFoundError:
            return None
    baseline = read_baseline(data, file=str(path))
    entries = site.journal.entries(cluster=cluster, subject="site")
    removed = [entry.at for entry in entries if entry.forgets_cluster]
    if max(removed, default=baseline.taken_at) <= baseline.taken_at:
        return baseline
    warn(
        f"the baseline that {baseline.by} took on {baseline.taken_at:%Y-%m-%d} is not compared: {cluster} was removed "
        "from this site since, and this may be another cluster of that name. Take a new one: ferry cluster baseline"
    )
    return None


def replaceable_baseline(
    site: Site, cluster: str, *, warn: Callable[[str], None]
) -> Baseline | None:
    """Return what `kept_baseline` does, for who takes a new one: a file that cannot be understood is told, and none.

    Raises:
        InputError: The journal cannot be understood.
        StorageError: It cannot be read.
    """
    try:
        return kept_baseline(site, cluster, warn=warn)
    except InputError as error:
        if error.file != str(_file(site, cluster)):
            raise
        warn(f"{error}; a new baseline is compared with none, and that file stays, beside it")
        return None


def _file(site: Site, cluster: str) -> Path:
    return site.root / "baselines" / f"{cluster}.json"
