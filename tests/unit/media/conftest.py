import shutil

import pytest

from tests.unit.media.making import NOW, Publisher, SiteTrust, make_payload


@pytest.fixture(autouse=True)
def no_flush(monkeypatch):
    """Do not wait for this machine's disk: no test here pulls its plug."""
    monkeypatch.setattr("os.fsync", lambda handle: None)


@pytest.fixture(scope="session")
def publisher(tmp_path_factory):
    return Publisher(tmp_path_factory.mktemp("publisher") / "keys")


@pytest.fixture(scope="session")
def other_publisher(tmp_path_factory):
    return Publisher(tmp_path_factory.mktemp("other") / "keys")


@pytest.fixture
def payload(tmp_path):
    return make_payload(tmp_path / "catalog")


@pytest.fixture
def root(tmp_path):
    """The root of an empty medium."""
    folder = tmp_path / "medium"
    folder.mkdir()
    return folder


@pytest.fixture
def site(tmp_path, publisher):
    """A site that pinned the publisher's root."""
    return SiteTrust(tmp_path / "site" / "trust").pin(publisher.root)


@pytest.fixture(scope="session")
def _written(tmp_path_factory, publisher):
    folder = tmp_path_factory.mktemp("written")
    (folder / "medium").mkdir()
    bundle = make_payload(folder / "catalog")
    sbe = make_payload(
        folder / "catalog", name="SBE_Contoso_Model1_4.2.2603.1.zip", data=b"sbe" * 7
    )
    publisher.write(folder / "medium", bundle, sbe, set_name="AZL-2603-TEST", now=NOW)
    return folder / "medium"


@pytest.fixture
def medium(_written, root):
    """The root of a finished medium with a solution bundle and an SBE file."""
    shutil.copytree(_written, root, dirs_exist_ok=True)
    return root


@pytest.fixture
def folder(medium):
    """The set folder of a finished medium."""
    return medium / "AZL-2603-TEST"
