"""Whatever a node replies, a command of readiness reads it or says that it cannot; never anything else."""

import contextlib
import json
from pathlib import PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.cluster._checks._ready_answers import read_results
from toolkit.cluster._cmdlets import ready
from toolkit.errors import InputError

SHARE = PureWindowsPath(r"C:\share")
COMMANDS = (
    ready.node_states(),
    ready.groups(),
    ready.failed_resources(),
    ready.storage_pools(),
    ready.virtual_disks(),
    ready.storage_jobs(),
    ready.paths_exist(["a", "b"]),
    ready.registry_values(["HKLM:\\a"], ["Name", "Value"]),
    ready.wsman_settings(),
    ready.token(),
    ready.booted_at(),
    ready.all_runs(),
    ready.run_times(),
    ready.cau_run("c"),
    ready.text_of(SHARE),
    ready.newest_health_files(SHARE),
)
NAMES = (
    *("Name", "Value", "State", "DrainStatus", "StatusInformation", "OwnerNode", "OwnerGroup"),
    *("FriendlyName", "HealthStatus", "OperationalStatus", "IsReadOnly", "JobState", "BytesTotal"),
    *("BytesProcessed", "PSPath", "LastBootUpTime", "ResourceId", "TimeStarted", "RunState"),
    *("FullName", "Length", "LastWriteTime", "Status", "Severity"),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["9999-12-31T23:59:59Z", "TrustedHosts", "MaxEnvelopeSizekb", "HKLM:\\a"]),
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


@given(
    text=st.one_of(st.text(max_size=40), PLAIN.map(lambda value: json.dumps(value, default=str)))
)
def test_any_file_of_results_is_read_or_refused(text):
    checks, problem = read_results(text)
    assert bool(checks) != bool(problem)
