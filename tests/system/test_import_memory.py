"""What an import takes of memory does not grow with its payload."""

import shutil
import subprocess
import sys

import pytest

from tests.system.bigmedium import pack
from tests.system.conftest import last_line
from tests.system.test_medium_memory import MOST_MIB, WATCH, pytestmark  # noqa: F401 - applies here

WORDS = ("cluster", "import", "medium", "--poll-seconds", "0.2", "--wait-minutes", "1")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("size_mib", [256, pytest.param(2048, marks=pytest.mark.alone)])
def test_a_bundle_is_imported_in_little_memory(tmp_path, simulate, size_mib):
    stage = pack(tmp_path / "s", size_mib=size_mib)
    simulate(stage)
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *WORDS],
        cwd=stage.folder,
        env=stage.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    peak_mib = int(last_line(done.stdout)) / 1024
    print(f"{size_mib} MiB imported in {peak_mib:.0f} MiB")
    shutil.rmtree(stage / "medium")
    assert peak_mib < MOST_MIB
