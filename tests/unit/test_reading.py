"""Whatever stands under the name of a small file: no pipe is waited for, and no more is read than its limit."""

import ast
import os
from pathlib import Path

import pytest

from toolkit.catalog._authorities import authorities_of
from toolkit.catalog._part import PartFile
from toolkit.catalog._storage import read_at_most
from toolkit.catalog._store import Store
from toolkit.catalog._tls import _load, _plain_context
from toolkit.catalog._trip_files import _check_replaceable
from toolkit.cluster._remembering import kept_baseline
from toolkit.errors import InputError, StorageError
from toolkit.filesystem import has_mark, open_regular, read_begin, read_regular
from toolkit.logbundle import LogBundle
from toolkit.media import prepare_supplement, read_root_chain, read_root_file
from toolkit.media._home import _read_record, read_ledger
from toolkit.media._keys import open_key as open_publisher_key
from toolkit.media._trust import load_trust
from toolkit.model import KnownCluster, Node, Sha256
from toolkit.remote._psrp import _check_roots
from toolkit.signed import KnownKeys, open_key, write_document
from toolkit.site import Journal, Site

TOOLKIT = Path(__file__).parents[2] / "toolkit"
LARGE_BYTES = (64 << 20) + 1
NODES = (Node(name="n1", address="10.0.0.1"),)


def new_site(folder: Path) -> Site:
    return Site.create(folder / "site", pin=lambda trust: (trust / "root.json").touch())


def explanation(path: Path) -> None:
    """Have a catalog look at what it wrote about a file that it had put aside."""
    store = Store(path.parent / "catalog")
    store.quarantine.mkdir(parents=True)
    path.rename(store.quarantine / f"x.zip.{'0' * 12}.txt")
    store.quarantined("x.zip", Sha256("0" * 64))


def baseline(path: Path) -> None:
    """Have a site look at the baseline of a cluster."""
    site = new_site(path.parent)
    (site.root / "baselines").mkdir()
    path.rename(site.root / "baselines" / "plant7.json")
    kept_baseline(site, "plant7", warn=pytest.fail)


def at(place: str, read):
    """Return a reader that finds the file at its place below a folder."""

    def reader(path: Path) -> object:
        target = path.parent / place
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        return read(path.parent)

    return reader


SMALL = {
    "any": read_regular,
    "a root": read_root_file,
    "a chain of roots": lambda path: read_root_chain(path.parent),
    "a publisher's key": lambda path: open_publisher_key(path, "secret"),
    "a signing key": open_key,
    "known keys": lambda path: KnownKeys(path).keys(),
    "a record of a set": _read_record,
    "a ledger": at("received/ledger.json", read_ledger),
    "a pinned root": at("trust/root.json", lambda folder: load_trust(folder / "trust")),
    "an explanation": explanation,
    "a site": at("site/site.json", lambda folder: Site(folder / "site")),
    "an authority for a site": lambda path: new_site(path.parent).add_cluster(
        KnownCluster(name="plant7", nodes=NODES), ca_file=path
    ),
    "a baseline": baseline,
}
"""Read whole."""

PIPES = {name: read for name, read in SMALL.items() if name != "a pinned root"} | {
    "what is opened": open_regular,
    "a beginning": lambda path: read_begin(path, 10),
    "a plan or a request": lambda path: read_at_most(path, 10),
    "authorities": authorities_of,
    "authorities of the web": lambda path: _load(_plain_context(), path),
    "an authority of a node": lambda path: _check_roots(str(path)),
    "a journal of a download": at(
        "x.zip.part.journal", lambda folder: PartFile(folder / "x.zip").known()
    ),
    "a journal of a site": lambda path: list(Journal(path).entries(cluster="plant7")),
    "a log bundle": LogBundle,
    "a request for pieces": lambda path: prepare_supplement(path.parent, path, keys={}),
}
WRITERS = {
    "a document": lambda path: write_document(path, b"ferry-request", mark="ferry-request"),
    "a plan": lambda path: _check_replaceable(path, "ferry-plan"),
}


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "1.root.json"
    with path.open("wb") as file:
        file.truncate(LARGE_BYTES)
    return path


@pytest.fixture
def pipe(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system's pipes are no files")
    path = tmp_path / "1.root.json"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("read", SMALL.values(), ids=SMALL)
def test_a_large_file_is_not_read_whole(large, read):
    with pytest.raises(InputError, match="a large file") as caught:
        read(large)
    assert caught.value.hint


def test_a_line_of_a_journal_has_a_limit(large):
    with pytest.raises(InputError, match="line 1"):
        list(Journal(large).entries(cluster="plant7"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("read", PIPES.values(), ids=PIPES)
def test_a_pipe_is_refused_instead_of_waited_for(pipe, read):
    with pytest.raises(InputError, match="a pipe or a device, which is not a file") as caught:
        read(pipe)
    assert caught.value.hint


@pytest.mark.timeout(60)
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_pipe_is_no_earlier_file_that_may_be_replaced(pipe, write):
    with pytest.raises(StorageError, match="a file of that name that is not"):
        write(pipe)


def test_a_link_may_lead_to_a_small_file(tmp_path):
    (tmp_path / "kept.json").write_bytes(b"ferry")
    (tmp_path / "named.json").symlink_to(tmp_path / "kept.json")
    assert read_regular(tmp_path / "named.json") == b"ferry"
    assert has_mark(tmp_path / "named.json", "ferry")


def test_a_file_as_large_as_its_limit_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_regular(tmp_path / "a", limit_bytes=5) == b"12345"
    with pytest.raises(InputError, match="4 bytes at most"):
        read_regular(tmp_path / "a", limit_bytes=4)


def test_a_folder_or_nothing_is_for_the_system_to_tell(tmp_path):
    with pytest.raises(OSError, match=r"directory|denied"):
        read_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "gone")


@pytest.mark.parametrize(
    "path", sorted(TOOLKIT.rglob("*.py")), ids=lambda path: str(path.relative_to(TOOLKIT.parent))
)
def test_no_file_is_read_without_a_limit(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert [
        ast.unparse(node) for node in calls if ast.unparse(node.func).endswith(".read_bytes")
    ] == []
