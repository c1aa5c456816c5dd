"""The stage of the system tests tells where a command hangs."""

from __future__ import annotations

import os

import pytest

from tests.stage import Stage


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are POSIX only")
def test_a_command_that_hangs_is_ended_and_says_where(tmp_path):
    stage = Stage(tmp_path, patience_s=3)
    os.mkfifo(stage / "request.json")
    words = ("--name", "plant7", "--fingerprint", "3f2a", "--catalog", "catalog")
    with pytest.raises(AssertionError, match="not done after 3 s") as caught:
        stage.ferry("catalog", "know-key", "request.json", *words)
    assert "most recent call first" in str(caught.value)
    assert "read_at_most" in str(caught.value)
