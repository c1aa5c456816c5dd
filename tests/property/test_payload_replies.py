"""Whatever a node replies about what the payload lacks, it is read or refused; and no password stays."""

import contextlib
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.property.test_ready_replies import PLAIN
from toolkit.catalog import Confidence
from toolkit.cluster._cmdlets import payload
from toolkit.cluster._sbe_foresight import recall
from toolkit.errors import InputError
from toolkit.model import ResourceId

COMMANDS = (
    payload.machine_variables(),
    payload.registration(),
    payload.orchestrator_owner(),
    payload.lines_of(payload.EXCLUDED_TESTS),
    payload.reaches_through("aka.ms", 443, "proxy:8080"),
    payload.sbe_asked_for(ResourceId("redmond/Solution1")),
)
NAMES = (
    *("DISCONNECTED_OPS_SUPPORT", "NUGET_CERT_REVOCATION_MODE", "HTTPS_PROXY", "HTTP_PROXY"),
    *("ConnectionStatus", "RegistrationStatus", "OwnerNode", "Name", "SbeVersion"),
    *("AdditionalProperties", "SBEPublisher", "SBEFamily"),
)
ROWS = st.dictionaries(st.sampled_from(NAMES), PLAIN, max_size=6)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
@given(reply=st.lists(st.one_of(ROWS, PLAIN), max_size=3))
def test_any_reply_is_read_or_refused(command, reply):
    with contextlib.suppress(InputError):
        command.parse(tuple(reply))


@given(
    scheme=st.sampled_from(["http://", "https://", "HTTP://", ""]),
    user=st.text(max_size=8),
    password=st.text(min_size=3, max_size=20),
    end=st.sampled_from(["", "/", "/proxy.pac"]),
)
def test_no_password_of_a_proxy_stays_whatever_is_in_it(scheme, user, password, end):
    assume("\n" not in password)
    address = f"{scheme}{user}:{password}@proxy.lan:8080{end}"
    told = payload.machine_variables().parse(({"HTTPS_PROXY": address},))
    assert told.proxy == "proxy.lan:8080"


FORETOLD = st.fixed_dictionaries(
    {"confidence": st.sampled_from([*map(str, Confidence), "sure"]), "states": PLAIN},
    optional=dict.fromkeys(("version", "package_type", "reason", "source"), PLAIN),
)


@given(
    text=st.one_of(
        st.text(max_size=60),
        st.lists(FORETOLD, max_size=2).map(lambda rows: json.dumps(rows, default=str)),
    )
)
def test_any_text_in_the_journal_is_a_foresight_or_refused(text):
    with contextlib.suppress(InputError):
        recall(text)
