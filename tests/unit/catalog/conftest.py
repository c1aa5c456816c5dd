from __future__ import annotations

import pytest

from tests.unit.catalog.holding import Holding


@pytest.fixture
def holding(tmp_path):
    return Holding(tmp_path / "catalog")


@pytest.fixture
def file_of(tmp_path):
    """Return a factory of files outside the catalog."""

    def make(data, name="came-by-mail"):
        path = tmp_path / "elsewhere" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    return make
