"""An unmodified pypsrp client for the tests of the simulator."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from tests.simcluster.cluster import SimCluster

marks = [
    pytest.mark.network,
    # pypsrp leaves its own socket (127.0.0.1; nodes have other addresses) to the collector when a
    # logon fails
    pytest.mark.filterwarnings(
        r"ignore:.*laddr=\('127\.0\.0\.1':pytest.PytestUnraisableExceptionWarning"
    ),
]
USER, PASSWORD = "lcmuser", "Secret: pass, wörd"


def loopback() -> str:
    """A loopback network of this test process alone."""
    return f"127.5.{os.getpid() % 250}"


def simulate(folder: Path, **options: Any) -> SimCluster:
    """A cluster of one node unless asked otherwise."""
    options = {"nodes": 1, "smb": "none", "base": loopback(), **options}
    return SimCluster(folder, user=USER, password=PASSWORD, **options)


def wsman(cluster: SimCluster, *, node: int = 0, **options: Any) -> WSMan:
    """A client of one node; HTTPS with Negotiate unless asked otherwise."""
    settings = {
        "username": USER,
        "password": PASSWORD,
        "auth": "negotiate",
        "cert_validation": str(cluster.authority.ca_file),
        "no_proxy": True,
        "operation_timeout": 10,
        **options,
    }
    return WSMan(cluster.machines[node].node.address, **settings)


@contextlib.contextmanager
def pool(cluster: SimCluster, **options: Any) -> Iterator[RunspacePool]:
    """An open pool of runspaces."""
    with wsman(cluster, **options) as client, RunspacePool(client) as opened:
        yield opened


def prepare(opened: RunspacePool, *stages: Any) -> PowerShell:
    """A pipeline: each stage is a name, or a name with a dictionary of parameters or a list."""
    shell = PowerShell(opened)
    for stage in stages:
        name, parameters = stage if isinstance(stage, tuple) else (stage, {})
        shell.add_cmdlet(name)
        if isinstance(parameters, list):
            for argument in parameters:
                shell.add_argument(argument)
        else:
            for key, value in parameters.items():
                shell.add_parameter(key, value)
    return shell


def run(opened: RunspacePool, *stages: Any, given: Any = None) -> tuple[list[Any], PowerShell]:
    """Run a pipeline to its end; return its output and itself."""
    shell = prepare(opened, *stages)
    output = shell.invoke(given)
    shell.close()
    return output, shell
