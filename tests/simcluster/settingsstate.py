"""How nodes and cluster are set up: data that a test edits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

MODULES = {
    "Az.Accounts": "4.0.2",
    "Az.Attestation": "2.0.0",
    "Az.ConnectedMachine": "1.1.0",
    "Az.Resources": "7.8.0",
    "Az.StackHCI": "2.5.0",
    "Az.Storage": "8.1.0",
    "AzStackHci.EnvironmentChecker": "10.2602.0.2035",
    "Microsoft.PowerShell.Operation.Validation": "1.0.1",
}
"""PowerShell modules that a node is set up with."""
_BLOCKS_WMI = "d1e49aac-8f56-4280-b9ba-993a6d77406c"
_AUDIT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DvdDrive:
    """The DVD drive of a virtual machine."""

    vm: str
    path: str = ""
    """Of the disc image in it; empty: none."""


@dataclass(slots=True, kw_only=True)
class NodeSettings:
    """How a node is set up."""

    time_zone: str = "UTC"
    culture: str = "en-US"
    decimal_separator: str = "."
    ui_culture: str = "en-US"
    system_locale: str = "en-US"
    geo_id: int = 244
    hotfixes: list[str] = field(default_factory=lambda: ["KB5066780", "KB5066129"])
    attack_surface_rules: dict[str, int] = field(default_factory=lambda: {_BLOCKS_WMI: _AUDIT})
    """Rule → action: 0 off, 1 block, 2 audit, 6 warn."""
    dvd_drives: list[DvdDrive] = field(default_factory=lambda: [DvdDrive(vm="web-01")])


@dataclass(slots=True, kw_only=True)
class ClusterSettings:
    """How the cluster is set up."""

    cau_role: dict[str, object] = field(default_factory=dict)
    """Settings of the CAU role; empty: it is not installed."""


def modules_folder(drive: Path) -> Path:
    """Return where the PowerShell modules of a node stand, below the folder of its drive."""
    return drive / "Program Files" / "WindowsPowerShell" / "Modules"


def install_modules(drive: Path) -> None:
    """Give a node the folders of its PowerShell modules, which a test may rename or remove."""
    for name, version in MODULES.items():
        (modules_folder(drive) / name / version).mkdir(parents=True, exist_ok=True)
