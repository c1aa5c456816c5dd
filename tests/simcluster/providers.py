"""What the cmdlets for items find on drives that hold no files: the registry (`HKLM:`), and `WSMan:`.

Source: about_Registry_Provider, about_WSMan_Provider. Only leaves of `WSMan:` are items here.
"""

from __future__ import annotations

from tests.simcluster.pipeline import Call
from tests.simcluster.values import OBJECT, NetObject, Value

_WINDOWS_VERSION = r"HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_BIOS = r"HKLM:\HARDWARE\DESCRIPTION\System\BIOS"
_ENVIRONMENT = r"HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
_WSMAN = "wsman:\\localhost\\"


def is_elsewhere(path: str) -> bool:
    """Whether a path is on one of these drives."""
    return path.lower().startswith(("hklm:", "wsman:"))


def registry_path(path: str) -> str:
    """Return the `PSPath` of a registry key."""
    below = path.rstrip("\\")[len("HKLM:") :].lstrip("\\")
    return rf"Microsoft.PowerShell.Core\Registry::HKEY_LOCAL_MACHINE\{below}"


def registry_values(call: Call, path: str) -> dict[str, Value] | None:
    """Return the values of a registry key; None: there is no such key."""
    key = path.rstrip("\\").lower()
    keys = _registry(call)
    if key in keys:
        return keys[key]
    return {} if any(other.startswith(key + "\\") for other in keys) else None


def item(call: Call, path: str) -> NetObject | None:
    """Return what stands at a path of one of these drives; None: nothing."""
    if path.lower().startswith("wsman:"):
        return _setting(call, path)
    values = registry_values(call, path)
    if values is None:
        return None
    full = registry_path(path)
    return NetObject(
        ("Microsoft.Win32.RegistryKey", OBJECT),
        {
            "Name": full.partition("::")[2],
            "Property": list(values),
            "ValueCount": len(values),
            "PSPath": full,
            "PSIsContainer": True,
        },
        text=full.partition("::")[2],
    )


def _registry(call: Call) -> dict[str, dict[str, Value]]:
    """Return the keys of a node, in lower case, with their values; a test's own come on top."""
    world = call.world
    build, _, revision = call.node.os_build.partition(".")
    keys: dict[str, dict[str, Value]] = {
        _WINDOWS_VERSION.lower(): {
            "ProductName": "Azure Stack HCI",
            "CurrentBuildNumber": build,
            "UBR": int(revision),
            "DisplayVersion": "24H2",
        },
        _BIOS.lower(): {
            "SystemManufacturer": world.manufacturer,
            "SystemProductName": world.hardware_model,
            "SystemSKU": call.node.sku,
        },
        _ENVIRONMENT.lower(): {
            "ComSpec": r"C:\Windows\system32\cmd.exe",
            "OS": "Windows_NT",
            **call.node.variables,
        },
    }
    for key, values in call.node.registry.items():
        keys[key] = {**keys.get(key, {}), **values}
    return keys


def _setting(call: Call, path: str) -> NetObject | None:
    wanted = path.lower().removeprefix(_WSMAN)
    for name, value in call.node.ready.wsman.items():
        if name.lower() == wanted:
            return NetObject(
                ("Microsoft.WSMan.Management.WSManConfigLeafElement", OBJECT),
                {
                    "Name": name.rpartition("\\")[2],
                    "Value": value,
                    "Type": "System.String",
                    "PSPath": rf"Microsoft.WSMan.Management\WSMan::localhost\{name}",
                    "PSIsContainer": False,
                },
            )
    return None
