"""The in-box cmdlets that tell about a node: time, disk, variables, registry.

Source: Microsoft Learn, module references of Windows PowerShell 5.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tests.simcluster import providers
from tests.simcluster.cmdlet_names import enumeration
from tests.simcluster.pipeline import Call, Library, Parameter, anything, switch, text, texts
from tests.simcluster.values import (
    OBJECT,
    NetChar,
    NetObject,
    NetVersion,
    Value,
    custom,
)

LIBRARY = Library()


@LIBRARY.cmdlet("Get-Date", owner="Microsoft.PowerShell.Commands.GetDateCommand")
def get_date(call: Call) -> Iterator[Value]:
    """Tell the node's own time."""
    yield call.world.node_time(call.node)


@LIBRARY.cmdlet(
    "Get-TimeZone",
    Parameter("Id"),
    Parameter("Name"),
    owner="Microsoft.PowerShell.Commands.GetTimeZoneCommand",
)
def get_time_zone(call: Call) -> Iterator[Value]:
    """Tell the node's time zone; only UTC is described in full."""
    zone = call.node.settings.time_zone
    shown = "(UTC) Coordinated Universal Time" if zone == "UTC" else zone
    yield NetObject(
        ("System.TimeZoneInfo", OBJECT),
        {
            "Id": zone,
            "DisplayName": shown,
            "StandardName": shown.removeprefix("(UTC) "),
            "BaseUtcOffset": timedelta(),
            "SupportsDaylightSavingTime": False,
        },
        text=shown,
    )


@LIBRARY.cmdlet(
    "Get-Volume",
    Parameter("DriveLetter", text, position=0),
    owner="Get-Volume",
)
def get_volume(call: Call) -> Iterator[Value]:
    """List the node's volumes and, as on every node of a cluster, the shared ones."""
    wanted = call["DriveLetter"]
    found = [
        volume
        for volume in (*call.node.volumes, *call.world.shared_volumes)
        if wanted is None or volume.name.upper() == wanted.upper()
    ]
    if wanted is not None and not found:
        call.error(
            call.failure(
                f"No MSFT_Volume objects found with property 'DriveLetter' equal to '{wanted}'.",
                "CmdletizationQuery_NotFound_DriveLetter",
                "ObjectNotFound",
                exception="Microsoft.PowerShell.Cmdletization.Cim.CimJobException",
                target=wanted,
            )
        )
    for volume in found:
        is_letter = len(volume.name) == 1
        yield NetObject(
            (
                "Microsoft.Management.Infrastructure.CimInstance#ROOT/Microsoft/Windows/Storage/"
                "MSFT_Volume",
                "Microsoft.Management.Infrastructure.CimInstance",
                OBJECT,
            ),
            {
                "DriveLetter": NetChar(volume.name if is_letter else "\0"),
                "DriveType": volume.drive_type,
                "FileSystemLabel": "" if is_letter else volume.name.rpartition("\\")[2],
                "FileSystemType": volume.file_system,
                "HealthStatus": "Healthy",
                "Size": volume.size_bytes,
                "SizeRemaining": volume.free_bytes,
            },
        )


@LIBRARY.cmdlet(
    "Get-Variable",
    Parameter("Name", text, position=0, is_mandatory=True),
    Parameter("ValueOnly", switch),
    owner="Microsoft.PowerShell.Commands.GetVariableCommand",
)
def get_variable(call: Call) -> Iterator[Value]:
    """Show the variables a client may ask about itself: `ExecutionContext`, `PSVersionTable`."""
    mode = enumeration("PSLanguageMode", call.node.language_mode)
    session = NetObject(
        ("System.Management.Automation.SessionState", OBJECT), {"LanguageMode": mode}
    )
    variables: dict[str, Value] = {
        "executioncontext": NetObject(
            ("System.Management.Automation.EngineIntrinsics", OBJECT), {"SessionState": session}
        ),
        "psversiontable": {
            "PSVersion": NetVersion("5.1.26100.32522"),
            "PSEdition": "Desktop",
        },
    }
    name = call["Name"]
    if name.lower() not in variables:
        call.error(
            call.failure(
                f"Cannot find a variable with the name '{name}'.",
                "VariableNotFound",
                "ObjectNotFound",
                exception="System.Management.Automation.ItemNotFoundException",
                target=name,
            )
        )
        return
    value = variables[name.lower()]
    if call["ValueOnly"]:
        yield value
    else:
        yield NetObject(
            ("System.Management.Automation.PSVariable", OBJECT), {"Name": name, "Value": value}
        )


@LIBRARY.cmdlet(
    "Get-ItemProperty",
    Parameter("Path", texts, position=0),
    Parameter("LiteralPath", texts, aliases=("PSPath",)),
    Parameter("Name", texts, position=1),
    owner="Microsoft.PowerShell.Commands.GetItemPropertyCommand",
)
def get_item_property(call: Call) -> Iterator[Value]:
    """Read registry keys; one without any of the wanted values yields nothing."""
    wanted = {name.lower() for name in call["Name"] or ()}
    for path in call["LiteralPath"] or call["Path"] or ():
        values = providers.registry_values(call, path)
        if values is None:
            call.error(
                call.failure(
                    f"Cannot find path '{path}' because it does not exist.",
                    "PathNotFound",
                    "ObjectNotFound",
                    exception="System.Management.Automation.ItemNotFoundException",
                    target=path,
                )
            )
            continue
        found = {k: v for k, v in values.items() if not wanted or k.lower() in wanted}
        if found:
            yield custom(found | {"PSPath": providers.registry_path(path)})


@LIBRARY.cmdlet(
    "Get-ComputerInfo",
    Parameter("Property", anything, position=0),
    owner="Microsoft.PowerShell.Commands.GetComputerInfoCommand",
)
def get_computer_info(call: Call) -> Iterator[Value]:
    """Describe the machine in a few properties."""
    yield NetObject(
        ("Microsoft.PowerShell.Commands.ComputerInfo", OBJECT),
        {
            "CsName": call.node.name.upper(),
            "CsManufacturer": call.world.manufacturer,
            "CsModel": call.world.hardware_model,
            "OsName": "Microsoft Azure Stack HCI",
            "OsVersion": "10.0.26100",
            "OsBuildNumber": "26100",
            "TimeZone": "(UTC) Coordinated Universal Time",
        },
    )


@LIBRARY.program("hostname.exe", "hostname")
def hostname(call: Call) -> Iterator[Value]:
    """Print the computer name."""
    yield call.node.name.upper()
