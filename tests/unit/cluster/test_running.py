import pytest

from toolkit.cluster._running import is_named
from toolkit.model import ResourceId, SolutionVersion, Update, UpdateState
from toolkit.sbe import SbeVersion


def listed(name):
    return Update(
        resource_id=ResourceId(f"redmond/{name}"),
        version="",
        display_name="",
        state=UpdateState.Ready,
        state_raw="Ready",
    )


@pytest.mark.parametrize(
    ("row", "is_solution", "is_sbe"),
    [
        ("Solution12.2603.1002.15", True, False),
        ("Solution12.2603.1002.16", False, False),
        ("SBE12.2603.1002.15", False, True),
        ("sbe12.2603.1002.15", False, True),
        ("12.2603.1002.15", True, False),
        ("SBE", False, False),
    ],
)
def test_update_is_found_by_its_name_and_not_by_that_of_the_other_kind(row, is_solution, is_sbe):
    update = listed(row)
    assert is_named(update, SolutionVersion.parse("12.2603.1002.15")) is is_solution
    assert is_named(update, SbeVersion.parse("12.2603.1002.15")) is is_sbe
