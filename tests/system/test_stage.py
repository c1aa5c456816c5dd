"""The stage of the system tests tells where a command hangs."""

from __future__ import annotations

import socket

import pytest

from tests.stage import Stage


@pytest.mark.network
def test_a_command_that_hangs_is_ended_and_says_where(tmp_path):
    stage = Stage(tmp_path, patience_s=3)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the call and never answers
        page = f"https://127.0.0.1:{silent.getsockname()[1]}/SBE_Discovery_Contoso.xml"
        with pytest.raises(AssertionError, match="not done after 3 s") as caught:
            stage.ferry("catalog", "sbe", "Contoso", "--from", page)
    assert "most recent call first" in str(caught.value)
    assert "find_sbes" in str(caught.value)
