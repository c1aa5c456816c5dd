import pytest

from toolkit import catalog


@pytest.mark.parametrize("name", catalog.__all__)
def test_every_name_of_the_face_loads(name):
    assert getattr(catalog, name) is not None


def test_name_that_is_not_of_the_face_is_refused():
    with pytest.raises(AttributeError, match="resolve_version"):
        _ = catalog.resolve_version
