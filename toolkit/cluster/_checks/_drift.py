"""Checks of what should not have been changed by hand, nor differ between nodes. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from toolkit.cluster import _cmdlets
from toolkit.cluster._baseline import NodeSettings, Setting
from toolkit.cluster._checks import _alike, _outside
from toolkit.cluster._checks._asking import Ask
from toolkit.cluster._checks._check import NOT_ASKED, Check, Told
from toolkit.cluster._cmdlets import settings
from toolkit.model import T

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupAnswers:
    """How a node is set up, as far as a baseline remembers it."""

    time_zone: Told[str] = NOT_ASKED
    culture: Told[settings.Culture] = NOT_ASKED
    ui_culture: Told[str] = NOT_ASKED
    system_locale: Told[str] = NOT_ASKED
    home_location: Told[str] = NOT_ASKED
    windows: Told[settings.WindowsSettings] = NOT_ASKED
    hotfixes: Told[tuple[str, ...]] = NOT_ASKED
    modules: Told[tuple[str, ...]] = NOT_ASKED

    def of(self, setting: Setting) -> Told[tuple[str, ...]]:
        """Return one setting as the texts that a baseline keeps."""
        match setting:
            case Setting.TIME_ZONE:
                return _made(self.time_zone, lambda told: (told,))
            case Setting.CULTURE:
                return _made(self.culture, lambda told: (told.name,))
            case Setting.UI_CULTURE:
                return _made(self.ui_culture, lambda told: (told,))
            case Setting.SYSTEM_LOCALE:
                return _made(self.system_locale, lambda told: (told,))
            case Setting.HOME_LOCATION:
                return _made(self.home_location, lambda told: (told,))
            case Setting.OS_BUILD:
                return _made(self.windows, lambda told: (told.build,))
            case Setting.HOTFIXES:
                return self.hotfixes
            case Setting.MODULES:
                return self.modules

    def settings(self, node: str) -> NodeSettings:
        """Return everything as a baseline keeps it."""
        told = {setting: self.of(setting) for setting in Setting}
        return NodeSettings(
            node=node,
            values={name: item.value for name, item in told.items() if item.value is not None},
            untold={name: item.why for name, item in told.items() if item.why},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsAnswers:
    """What the checks here ask of every node."""

    setup: SetupAnswers = SetupAnswers()
    installed: Told[tuple[settings.InstalledUpdate, ...]] = NOT_ASKED
    """By the agent of Windows Update, newest first."""
    attack_surface_rules: Told[dict[str, str]] = NOT_ASKED
    discs: Told[tuple[settings.Disc, ...]] = NOT_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettingsAnswers:
    """What the checks here ask of the cluster."""

    reports: Told[tuple[settings.CauReport, ...]] = NOT_ASKED
    """Newest first."""
    cau_role: Told[dict[str, str]] = NOT_ASKED
    """Its settings; empty: it is not installed."""
    package: Told[tuple[settings.PackageFile, ...]] = NOT_ASKED


def ask_setup(ask: Ask) -> SetupAnswers:
    """Ask one node how it is set up."""
    return SetupAnswers(
        time_zone=ask(settings.time_zone()),
        culture=ask(settings.culture()),
        ui_culture=ask(settings.ui_culture()),
        system_locale=ask(settings.system_locale()),
        home_location=ask(settings.home_location()),
        windows=ask(settings.windows()),
        hotfixes=ask(settings.hotfixes()),
        modules=ask(settings.modules()),
    )


def ask_node(ask: Ask) -> SettingsAnswers:
    """Ask one node everything that the checks here rest on."""
    return SettingsAnswers(
        setup=ask_setup(ask),
        installed=ask(settings.installed_by_windows_update()),
        attack_surface_rules=ask(settings.attack_surface_rules()),
        discs=ask(settings.vm_discs()),
    )


def ask_cluster(ask: Ask) -> ClusterSettingsAnswers:
    """Ask the cluster everything that the checks here rest on; perhaps again, through another node."""
    name = ask(_cmdlets.cluster_name())
    return ClusterSettingsAnswers(
        reports=_then(name, lambda cluster: ask(settings.cau_reports(cluster))),
        cau_role=_ask_cau_role(ask, name),
        package=ask(settings.package_files()),
    )


def _ask_cau_role(ask: Ask, name: Told[str]) -> Told[dict[str, str]]:
    """Ask for the settings only of a role that is there: of one that is not, the cmdlet makes an error."""

    def told(is_installed: bool) -> Told[dict[str, str]]:  # noqa: FBT001 - an answer
        if not is_installed:
            return Told(value={})
        return _then(name, lambda cluster: ask(settings.cau_role(cluster)))

    return _then(ask(settings.cau_role_is_installed()), told)


def _made(told: Told[S], make: Callable[[S], T]) -> Told[T]:
    return Told(why=told.why) if told.value is None else Told(value=make(told.value))


def _then(told: Told[S], ask: Callable[[S], Told[T]]) -> Told[T]:
    return Told(why=told.why) if told.value is None else ask(told.value)


CHECKS: tuple[Check, ...] = (*_alike.CHECKS, *_outside.CHECKS)
