"""For all inputs: bytes parse or are refused, names are safe, paths go up, downloads are what was published."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.catalog.fakes import FakeSite, digest_of, manifest_of, payload_of
from toolkit.catalog import Catalog, load_manifests
from toolkit.catalog._issues import read_issues
from toolkit.catalog._lint import is_patterned
from toolkit.catalog._manifest import read_manifest
from toolkit.catalog._part import Part, PartFile
from toolkit.catalog._paths import read_paths
from toolkit.catalog._ranges import BLOCK_BYTES
from toolkit.catalog._releases import ReleaseStatus, read_releases
from toolkit.catalog._versions import resolve_version
from toolkit.errors import DigestError, DownloadError, InputError
from toolkit.model import SolutionVersion
from toolkit.names import payload_name

LIBRARY = load_manifests()
VERSIONS = [release.version for release in LIBRARY.releases]
STATUS = {release.version: release.status for release in LIBRARY.releases}
FOLDER = Path(__file__).resolve().parents[2] / "manifests"
GOOD = (FOLDER / "11.2504.1001.19.yaml").read_bytes()
READERS = [read_manifest, read_releases, read_paths, read_issues]

WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL"} | {
    f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10)
}


@pytest.mark.parametrize("read", READERS)
@given(data=st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(read, data):
    with contextlib.suppress(InputError):
        read(data)


@given(data=st.data())
def test_a_manifest_with_a_changed_piece_is_read_or_refused(data):
    at = data.draw(st.integers(0, len(GOOD) - 1))
    length = data.draw(st.integers(0, 40))
    piece = data.draw(st.binary(max_size=8) | st.sampled_from([b"\n", b"- ", b": ", b"{", b"&a "]))
    try:
        manifest = read_manifest(GOOD[:at] + piece + GOOD[at + length :])
    except InputError:
        return
    assert manifest.payloads
    for payload in manifest.payloads:
        assert payload.sha256 is None or len(payload.sha256) == 64
        assert payload.url.startswith("https://")


@given(text=st.text(max_size=20) | st.from_regex(r"[A-Za-z0-9._+\-]{1,12}", fullmatch=True))
def test_a_name_that_is_taken_is_a_plain_name_on_every_system(text):
    try:
        name = payload_name(text)
    except ValueError:
        return
    windows = PureWindowsPath(name)
    assert windows.name == Path(name).name == name
    assert name.partition(".")[0].rstrip(" ").upper() not in WINDOWS_DEVICES
    assert (windows.drive, windows.root) == ("", "")


@given(text=st.text(max_size=20) | st.from_regex(r"(1[0-2]\.)?\d{4}(\.\d{1,4}){0,2}"))
def test_any_text_is_one_version_or_refused(text):
    try:
        version = resolve_version(text, VERSIONS)
    except InputError:
        return
    assert SolutionVersion.parse(str(version)) == version


any_version = st.sampled_from(VERSIONS) | st.builds(
    SolutionVersion,
    st.sampled_from([10, 11, 12]),
    st.builds(lambda year, month: year * 100 + month, st.integers(23, 27), st.integers(1, 12)),
    st.sampled_from([0, 1, 2, 3, 1001, 1002, 1003]),
    st.integers(0, 999),
)


@given(start=any_version, goal=st.none() | any_version)
def test_a_path_only_goes_up_hangs_together_and_offers_nothing_withdrawn(start, goal):
    found = LIBRARY.path(str(start), None if goal is None else str(goal))
    here = start
    for step in found.steps:
        assert step.start == here
        assert step.version > here
        assert step.version.release >= here.release
        assert STATUS[step.version] is not ReleaseStatus.RECALLED
        if step.version != goal:
            assert STATUS[step.version] in (ReleaseStatus.LISTED, ReleaseStatus.NO_BUNDLE)
        here = step.version
    assert found.steps or found.reason
    if found.steps:
        assert here == found.goal
        assert found.is_supported


LAST_CUMULATIVES = {
    "10.2405": ("10.2402.3", "10.2402.4"),
    "10.2408": ("10.2405.3",),
    "10.2411": ("10.2408.2",),
    "10.2503": ("10.2411.3",),
    "11.1001": ("10.2503.0",),
    "11.1002": ("11.2509.1001",),
    "12.1002": ("12.2509.1001",),
    "12.1003": ("12.2603.1002",),
}
"""Feature train → what may come right before it, written down from release-information-23h2.md."""


def feature_train(version):
    """The train by its first number and feature build; 10.2505 and later are 11.x by another name."""
    if version.product == 10 and version.release < 2504:
        return f"10.{version.release}"
    return f"{11 if version.product == 10 else version.product}.{version.train or 1001}"


@given(start=any_version, goal=st.none() | any_version)
def test_no_path_crosses_a_feature_boundary_without_the_last_cumulative_before_it(start, goal):
    for step in LIBRARY.path(str(start), None if goal is None else str(goal)).steps:
        here, there = feature_train(step.start), feature_train(step.version)
        if step.start.os_train is not step.version.os_train:
            continue  # the change to 24H2 stays in its feature train
        if here != there:
            assert str(step.start).rpartition(".")[0] in LAST_CUMULATIVES[there]


@given(start=any_version, goal=st.none() | any_version)
def test_the_change_to_24h2_stays_in_its_feature_train_and_takes_one_bundle_or_an_opt_in(
    start, goal
):
    for step in LIBRARY.path(str(start), None if goal is None else str(goal)).steps:
        if step.start.os_train is not step.version.os_train:
            assert step.start.train == step.version.train
            assert step.opt_in or (step.start.train, str(step.version)) == (
                1002,
                "12.2510.1002.531",
            )


@given(start=any_version)
def test_a_path_to_the_newest_leaves_nothing_newer_and_ends_on_a_listed_release(start):
    found = LIBRARY.path(str(start))
    if not found.steps:
        return
    end = found.steps[-1].version
    assert STATUS[end] is ReleaseStatus.LISTED
    assert LIBRARY.path(str(end)).steps == ()
    # it ends in the newest month that any supported path leads to
    for manifest in LIBRARY:
        if manifest.version > end and STATUS[manifest.version] is ReleaseStatus.LISTED:
            assert not LIBRARY.path(str(start), str(manifest.version)).is_supported


@given(start=any_version, goal=any_version)
def test_a_path_ends_on_a_withdrawn_or_unconfirmed_release_only_if_asked_for_by_name(start, goal):
    found = LIBRARY.path(str(start), str(goal))
    for step in found.steps:
        if STATUS[step.version] not in (ReleaseStatus.LISTED, ReleaseStatus.NO_BUNDLE):
            assert step.version == goal
            assert STATUS[step.version] is not ReleaseStatus.RECALLED
    if found.nearest is not None:
        assert LIBRARY.path(str(start), str(found.nearest)).steps
        assert STATUS[found.nearest] in (ReleaseStatus.LISTED, ReleaseStatus.NO_BUNDLE)


@given(start=any_version, goal=any_version)
def test_a_path_from_a_step_on_is_no_longer_than_the_rest_of_the_path(start, goal):
    steps = LIBRARY.path(str(start), str(goal)).steps
    if steps and not any(step.opt_in for step in steps):
        rest = LIBRARY.path(str(steps[0].version), str(goal)).steps
        assert len(rest) == len(steps) - 1


@given(data=st.binary(min_size=32, max_size=32))
def test_a_digest_is_patterned_only_if_a_run_of_eight_digits_repeats(data):
    digits = data.hex()
    repeats = any(digits[at : at + 8] in digits[at + 1 :] for at in range(57))
    assert is_patterned(digits) is repeats


@settings(max_examples=60)
@given(
    published=st.binary(min_size=1, max_size=5000),
    left=st.none() | st.binary(max_size=5000),
    cuts=st.lists(st.none() | st.integers(0, 3000), max_size=12),
    resumes=st.booleans(),
    served=st.none() | st.binary(min_size=1, max_size=5000),
)
def test_whatever_happens_only_the_published_bytes_get_the_final_name(
    published, left, cuts, resumes, served
):
    payload = payload_of(published, "payload.bin")
    site = FakeSite({payload.url: served or published}, cuts=list(cuts), resumes=resumes)
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog(Path(folder), fetcher=site, sleep=lambda _: None)
        path = Path(folder) / "12.2604.1003.9" / payload.name
        if left is not None:
            path.parent.mkdir()
            path.with_name(path.name + ".part").write_bytes(left)
        try:
            (held,) = catalog.download(manifest_of(payload))
        except (DigestError, DownloadError):
            assert not path.exists()
            assert served is not None or cuts
            return
        assert held.path.read_bytes() == published
        assert held.sha256 == digest_of(published)


@settings(max_examples=60)
@given(
    published=st.binary(min_size=1, max_size=900_000),
    stretches=st.lists(st.tuples(st.integers(0, 3), st.integers(1, BLOCK_BYTES)), max_size=4),
    damage=st.lists(
        st.tuples(st.booleans(), st.integers(0, 2_000_000), st.binary(max_size=40)), max_size=3
    ),
    torn=st.none() | st.integers(0, 400),
)
def test_whatever_happened_to_what_was_left_the_published_file_comes(
    published, stretches, damage, torn
):
    """Blocks were written in any order; then power failed: bytes and journal may have changed anywhere."""
    payload = payload_of(published, "payload.bin")
    site = FakeSite({payload.url: published})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "12.2604.1003.9" / payload.name
        path.parent.mkdir()
        where = PartFile(path)
        with contextlib.closing(Part(where)) as part:
            part.belongs_to(len(published), payload.url, site.etag)
            for index, count in dict(stretches).items():
                start = index * BLOCK_BYTES
                part.write(start, memoryview(published)[start : start + count])
        for of_journal, at, data in damage:
            with (where.journal_path if of_journal else where.path).open("r+b") as file:
                file.seek(min(at, file.seek(0, 2)))
                file.write(data)
        if torn is not None:
            with where.journal_path.open("r+b") as file:
                file.truncate(min(torn, file.seek(0, 2)))
        catalog = Catalog(Path(folder), fetcher=site, sleep=lambda _: None)
        (held,) = catalog.download(manifest_of(payload))
        assert held.path.read_bytes() == published
