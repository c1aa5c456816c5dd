"""What a medium takes of memory does not grow with its payload."""

import subprocess
import sys

import pytest

from tests.stage import VERSION, Stage
from tests.system.conftest import last_line

MIB = 1 << 20
PAYLOAD_MIB = 1024
MOST_MIB = 150
WATCH = """
import resource, subprocess, sys

ended = subprocess.run([sys.executable, "-m", "toolkit", *sys.argv[1:]])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(ended.returncode)
"""
"""A small program between: the memory of whoever starts a process counts until it is another program."""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="KiB there, bytes or nothing elsewhere"
)


@pytest.mark.timeout(600)
def test_a_payload_of_a_gigabyte_is_written_and_verified_in_little_memory(tmp_path):
    stage = Stage(tmp_path / "s")
    bundle = stage.publish(size_mib=PAYLOAD_MIB)[0]
    stage.declare([bundle], "https://127.0.0.1:1/")
    stage.ferry("catalog", "add", f"vendor/{bundle.name}", "--catalog", "catalog")
    stage.ferry("trust", "init", "--keys", "keys")
    fingerprint = last_line(stage.ferry("trust", "fingerprint", "--keys", "keys").out)

    def peak_mib(*words):
        done = subprocess.run(
            [sys.executable, "-c", WATCH, *words],
            cwd=stage.folder,
            env=stage.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return int(last_line(done.stdout)) / 1024

    home = ("--catalog", "catalog", "--keys", "keys", "--parity", "0")
    trust = ("--root", "keys/1.root.json", "--fingerprint", fingerprint)
    peaks = {
        "write": peak_mib("media", "write", VERSION, *home, "--to", stage.stick("stick")),
        "verify": peak_mib("media", "verify", "stick", *trust),
    }
    print({command: f"{peak:.0f} MiB" for command, peak in peaks.items()})
    assert max(peaks.values()) < MOST_MIB
