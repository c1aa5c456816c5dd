import pytest

from toolkit.signed import SigningKey, open_key


@pytest.fixture
def key(tmp_path) -> SigningKey:
    return open_key(tmp_path / "request.key.pem")
