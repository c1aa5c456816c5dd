"""Whatever a node replies, a command of the settings reads it or says that it cannot; never anything else."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.cluster._baseline import read_baseline
from toolkit.cluster._cmdlets import settings
from toolkit.errors import InputError

COMMANDS = (
    settings.time_zone(),
    settings.culture(),
    settings.hotfixes(),
    settings.modules(),
    settings.windows(),
    settings.installed_by_windows_update(),
    settings.attack_surface_rules(),
    settings.vm_discs(),
    settings.cau_reports("plant7"),
    settings.cau_role("plant7"),
    settings.package_files(),
)
NAMES = (
    *("Id", "Name", "NumberFormat", "NumberDecimalSeparator", "HotFixID", "FullName", "Value"),
    *("CurrentBuildNumber", "UBR", "NoAutoUpdate", "VMName", "Path", "Plugin", "ClusterResult"),
    *("AttackSurfaceReductionRules_Ids", "AttackSurfaceReductionRules_Actions"),
    *("RunId", "StartTimestamp", "RunDuration", "Status"),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["9999-12-31T23:59:59Z", "P9999999999D", "1.00:00:00", "<Event/>", "</Events>"]
    ),
)
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
@given(reply=st.lists(PLAIN, max_size=3))
def test_any_reply_is_read_or_refused(command, reply):
    with contextlib.suppress(InputError):
        command.parse(tuple(reply))


@given(data=st.binary(max_size=200))
def test_any_file_is_a_baseline_or_refused(data):
    with pytest.raises(InputError):
        read_baseline(data, file="plant7.json")
