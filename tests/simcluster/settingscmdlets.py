"""The cmdlets that tell how a node is set up.

Source: Microsoft Learn, modules Microsoft.PowerShell.Management, Microsoft.PowerShell.Utility, International,
Defender, Hyper-V, ClusterAwareUpdating; about_CimSession (types of what CIM returns).
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simcluster.cmdlet_names import CAU
from tests.simcluster.pipeline import Call, Library, Parameter, text, texts
from tests.simcluster.values import OBJECT, NetObject, Value

LIBRARY = Library()
_INTERNATIONAL = "Microsoft.InternationalSettings.Commands"


def _culture(name: str, separator: str = ".") -> NetObject:
    numbers = NetObject(
        ("System.Globalization.NumberFormatInfo", OBJECT),
        {
            "NumberDecimalDigits": 2,
            "NumberDecimalSeparator": separator,
            "NumberGroupSeparator": "," if separator == "." else ".",
        },
    )
    return NetObject(
        ("System.Globalization.CultureInfo", OBJECT),
        {"Name": name, "DisplayName": name, "NumberFormat": numbers},
        text=name,
    )


@LIBRARY.cmdlet("Get-Culture", owner="Microsoft.PowerShell.Commands.GetCultureCommand")
def get_culture(call: Call) -> Iterator[Value]:
    """Tell how numbers and dates are written."""
    yield _culture(call.node.settings.culture, call.node.settings.decimal_separator)


@LIBRARY.cmdlet("Get-UICulture", owner="Microsoft.PowerShell.Commands.GetUICultureCommand")
def get_ui_culture(call: Call) -> Iterator[Value]:
    """Tell the display language."""
    yield _culture(call.node.settings.ui_culture)


@LIBRARY.cmdlet("Get-WinSystemLocale", owner=f"{_INTERNATIONAL}.GetWinSystemLocaleCommand")
def get_win_system_locale(call: Call) -> Iterator[Value]:
    """Tell the locale of programs without Unicode."""
    yield _culture(call.node.settings.system_locale)


@LIBRARY.cmdlet("Get-WinHomeLocation", owner=f"{_INTERNATIONAL}.GetWinHomeLocationCommand")
def get_win_home_location(call: Call) -> Iterator[Value]:
    """Tell the region."""
    yield NetObject(
        ("Microsoft.InternationalSettings.Commands.GeoId", OBJECT),
        {"GeoId": call.node.settings.geo_id, "HomeLocation": "a place"},
    )


@LIBRARY.cmdlet(
    "Get-HotFix",
    Parameter("Id", texts, position=0, aliases=("HFID",)),
    owner="Microsoft.PowerShell.Commands.GetHotFixCommand",
)
def get_hotfix(call: Call) -> Iterator[Value]:
    """List the installed hotfixes."""
    wanted = [one.lower() for one in call["Id"] or ()]
    for hotfix in call.node.settings.hotfixes:
        if not wanted or hotfix.lower() in wanted:
            yield NetObject(
                (
                    r"System.Management.ManagementObject#root\cimv2\Win32_QuickFixEngineering",
                    OBJECT,
                ),
                {
                    "Source": call.node.name.upper(),
                    "Description": "Security Update",
                    "HotFixID": hotfix,
                    "InstalledBy": r"NT AUTHORITY\SYSTEM",
                },
            )


@LIBRARY.cmdlet("Get-MpPreference", owner="Get-MpPreference")
def get_mp_preference(call: Call) -> Iterator[Value]:
    """Tell the preferences of Defender; the actions of rules are bytes."""
    rules = call.node.settings.attack_surface_rules
    yield NetObject(
        (
            "Microsoft.Management.Infrastructure.CimInstance#ROOT/Microsoft/Windows/Defender/"
            "MSFT_MpPreference",
            "Microsoft.Management.Infrastructure.CimInstance",
            OBJECT,
        ),
        {
            "AttackSurfaceReductionRules_Ids": list(rules) or None,
            "AttackSurfaceReductionRules_Actions": bytes(rules.values()) or None,
        },
    )


@LIBRARY.cmdlet(
    "Get-VMDvdDrive",
    Parameter("VMName", texts, position=0, is_mandatory=True),
    owner="Microsoft.HyperV.PowerShell.Commands.GetVMDvdDrive",
)
def get_vm_dvd_drive(call: Call) -> Iterator[Value]:
    """List the DVD drives of the virtual machines on this node; `*` means all of them."""
    wanted = {one.lower() for one in call["VMName"]}
    for drive in call.node.settings.dvd_drives:
        if "*" in wanted or drive.vm.lower() in wanted:
            yield NetObject(
                ("Microsoft.HyperV.PowerShell.DvdDrive", OBJECT),
                {
                    "VMName": drive.vm,
                    "ControllerType": "SCSI",
                    "DvdMediaType": "ISO" if drive.path else "None",
                    "Path": drive.path or None,
                },
            )


@LIBRARY.cmdlet(
    "Get-CauClusterRole",
    Parameter("ClusterName", text, position=0),
    owner=f"{CAU}.Commands.GetCauClusterRoleCommand",
)
def get_cau_cluster_role(call: Call) -> Iterator[Value]:
    """List the settings of the CAU role; one that is not installed is an error."""
    settings = call.world.settings.cau_role
    if not settings:
        raise call.failure(
            "The current cluster is not configured with a Cluster-Aware Updating clustered role.",
            "ClusterRoleNotInstalled",
            "ObjectNotFound",
            exception="Microsoft.ClusterAwareUpdating.ClusterUpdateException",
            target=call.world.name,
        )
    for name, value in settings.items():
        yield NetObject((f"{CAU}.RoleSetting", OBJECT), {"Name": name, "Value": value})
