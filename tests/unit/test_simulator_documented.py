"""Whatever can go wrong in the simulated cluster is named on its page, with a source or as invented."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from tests.simcluster import faults
from tests.simcluster.baddays import BadDays
from tests.simcluster.outside import Outside
from tests.simcluster.readystate import ClusterReady, NodeReady
from tests.simcluster.settingsstate import ClusterSettings, NodeSettings
from tests.simcluster.sharedays import ShareDays

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
NAMED = {word for code in re.findall(r"`([^`]+)`", PAGE) for word in re.findall(r"[\w-]+", code)}
STATES = (NodeReady, ClusterReady, NodeSettings, ClusterSettings, Outside, BadDays, ShareDays)
NAMES = [*get_args(faults.Kind), *(field.name for state in STATES for field in fields(state))]


@pytest.mark.parametrize("name", NAMES)
def test_bad_day_is_named_on_the_page_of_the_simulator(name):
    assert not {name} - NAMED
