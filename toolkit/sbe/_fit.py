"""Which SBE belongs on which cluster. Pure.

That is decided here and nowhere else: the same rules hold when a trip is planned, when a medium is written
and before an SBE is imported. A fact that is missing is said to be missing; it never counts as a fit.

Source: Troubleshooting-SBEHealth-Test-Endpoint-Matches-ModelSKU.md, Update-missing-after-importing-SBE.md
(Azure/AzureLocal-Supportability).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from toolkit.model import SolutionVersion
from toolkit.sbe._nouns import NO_SBE, UNINSTALLED_SBE, Hardware, Sbe, SbeVersion, SupportedModel


class Fit(StrEnum):
    """Whether an SBE belongs on a cluster, as far as one fact tells."""

    YES = "fits"
    NO = "does not fit"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True)
class FitFinding:
    """What one fact says about an SBE and a cluster, as a sentence."""

    fit: Fit
    text: str


def model_fits(sbe: Sbe, hardware: Hardware) -> FitFinding:
    """Return whether an SBE is made for these machines.

    Letters, digits and underscores count, upper and lower case do not. The machine's model must begin with
    a supported one, and its SKU with one of that model's SKUs; a model without SKUs takes every one, and an
    excluded SKU rules the model out.

    Source: Troubleshooting-SBEHealth-Test-Endpoint-Matches-ModelSKU.md.
    """
    if not sbe.models:
        return FitFinding(Fit.UNKNOWN, f"which models {sbe.title} supports is not known")
    if not hardware.model:
        return FitFinding(
            Fit.UNKNOWN, f"the model of the machines is not known: is it {_models(sbe)}?"
        )
    model = _bare(hardware.model)
    entries = [item for item in sbe.models if _begins(model, (item.model,))]
    if not entries:
        return FitFinding(Fit.NO, f"{sbe.title} supports {_models(sbe)}, not {hardware.model}")
    fits = {_sku_fits(item, hardware.sku) for item in entries}
    machine = f"{hardware.model} with SKU {hardware.sku}" if hardware.sku else hardware.model
    if Fit.YES in fits:
        return FitFinding(Fit.YES, f"{sbe.title} supports {machine}")
    if Fit.UNKNOWN in fits:
        return FitFinding(
            Fit.UNKNOWN,
            f"{sbe.title} supports only some SKUs of {hardware.model}, and the machines' SKU is not known",
        )
    return FitFinding(Fit.NO, f"{sbe.title} does not support {machine}")


def validated_for(sbe: Sbe, solution_version: SolutionVersion) -> FitFinding:
    """Return whether the vendor validated an SBE with a solution version.

    Source: Solution-builder-extension-update-scenarios.md (`ValidatedConfigurations`),
    Update-missing-after-importing-SBE.md (ranges such as 10.2408.*.*).
    """
    fits = {_pattern_fits(pattern, solution_version) for pattern in sbe.validated_for}
    listed = ", ".join(sbe.validated_for)
    if Fit.YES in fits:
        return FitFinding(Fit.YES, f"{sbe.title} is validated for {solution_version}")
    if not fits:
        return FitFinding(Fit.UNKNOWN, f"which versions {sbe.title} is validated for is not known")
    if Fit.UNKNOWN in fits:
        return FitFinding(
            Fit.UNKNOWN,
            f"{sbe.title} is validated for {listed}; whether that holds {solution_version} cannot be told",
        )
    return FitFinding(Fit.NO, f"{sbe.title} is validated for {listed}, not for {solution_version}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """What is known of a cluster on which an SBE may be imported; empty and None: not known."""

    hardware: Hardware
    family: str = ""
    """`SbeFamily` of the cluster."""
    installed: SbeVersion | None = None
    """`CurrentSbeVersion` of the cluster."""
    requested: SbeVersion | None = None
    """The SBE version that the update asks for, if it asks."""
    solution: SolutionVersion | None = None
    """The version that the cluster will have with the SBE; None: no update goes with it."""

    @property
    def is_told(self) -> bool:
        """Whether anything is known but the manufacturer."""
        return self != ClusterFacts(hardware=Hardware(manufacturer=self.hardware.manufacturer))


def unfit_reasons(sbe: Sbe, cluster: ClusterFacts) -> tuple[str, ...]:
    """Return why an SBE must not be imported on a cluster, each reason a sentence; empty: nothing against it.

    What is not known is no reason here: `unsure_reasons` says it. An SBE with a reason against it, once
    imported, hides the solution updates of the cluster.

    Source: Update-missing-after-importing-SBE.md.
    """
    return tuple(finding.text for finding in _findings(sbe, cluster) if finding.fit is Fit.NO)


def unsure_reasons(sbe: Sbe, cluster: ClusterFacts) -> tuple[str, ...]:
    """Return what is not known of an SBE on a cluster, each a sentence."""
    return tuple(finding.text for finding in _findings(sbe, cluster) if finding.fit is Fit.UNKNOWN)


def belongs(sbe: Sbe, cluster: ClusterFacts) -> bool:
    """Whether an SBE may be taken to a cluster although no person named it.

    Nothing speaks against it, its family is known to be the cluster's, and the update asks for it or its
    vendor validated it for the update.
    """
    is_wanted = sbe.version == cluster.requested or (
        cluster.solution is not None and validated_for(sbe, cluster.solution).fit is Fit.YES
    )
    return (
        is_wanted
        and _family_fits(sbe, cluster.family).fit is Fit.YES
        and not unfit_reasons(sbe, cluster)
    )


def _findings(sbe: Sbe, cluster: ClusterFacts) -> Iterator[FitFinding]:
    if sbe.is_recalled:
        yield FitFinding(Fit.NO, f"{sbe.title} was recalled by {sbe.publisher}")
    yield _family_fits(sbe, cluster.family)
    yield _not_older(sbe, cluster.installed)
    yield from _minimum_met(sbe, cluster.installed)
    requested = cluster.requested
    if requested is not None and sbe.version != requested:
        order = "older" if sbe.version < requested else "newer"
        yield FitFinding(
            Fit.NO, f"{sbe.title} is {order} than {requested}, which the update asks for"
        )
    if cluster.solution is not None:
        yield validated_for(sbe, cluster.solution)
    yield model_fits(sbe, cluster.hardware)


def _family_fits(sbe: Sbe, installed_family: str) -> FitFinding:
    if not sbe.family:
        return FitFinding(Fit.UNKNOWN, f"the family of {sbe.title} is not known")
    if not installed_family:
        return FitFinding(
            Fit.UNKNOWN, f"the cluster's SBE family is not known: is it {sbe.family}?"
        )
    if sbe.family.casefold() == installed_family.casefold():
        return FitFinding(Fit.YES, f"{sbe.title} is of the cluster's family")
    return FitFinding(
        Fit.NO, f"{sbe.title} is of the family {sbe.family}, the cluster is {installed_family}"
    )


def _not_older(sbe: Sbe, installed_version: SbeVersion | None) -> FitFinding:
    """Return whether an SBE may follow the installed one: the same or a newer version."""
    if installed_version is None:
        return FitFinding(Fit.UNKNOWN, "the installed SBE version is not known")
    if installed_version == NO_SBE:
        return FitFinding(Fit.YES, "the cluster has no SBE yet")
    if installed_version == UNINSTALLED_SBE:
        return FitFinding(
            Fit.UNKNOWN,
            f"the cluster says {UNINSTALLED_SBE}: an SBE was there at deployment and was never installed,"
            f" so it must be the same as {sbe.version} or older",
        )
    if sbe.version < installed_version:
        return FitFinding(Fit.NO, f"{sbe.title} is older than the installed {installed_version}")
    return FitFinding(Fit.YES, f"{sbe.title} is not older than the installed {installed_version}")


def _minimum_met(sbe: Sbe, installed_version: SbeVersion | None) -> Iterator[FitFinding]:
    """Yield what is open where an SBE asks for another one to be installed before.

    Whether an update below its minimum is hidden or waits is not published, so it is no reason against one.

    Source: update-via-powershell-23h2.md (`MinSbeVersionRequired` of an update).
    """
    minimum = SbeVersion.read(sbe.min_sbe_version)
    if installed_version is None or not sbe.min_sbe_version:
        return
    if minimum is None or installed_version < minimum:
        yield FitFinding(
            Fit.UNKNOWN,
            f"{sbe.title} asks for SBE {sbe.min_sbe_version} before it, the cluster has {installed_version}",
        )


def _sku_fits(entry: SupportedModel, sku: str) -> Fit:
    if not entry.skus and not entry.excluded_skus:
        return Fit.YES
    if not sku:
        return Fit.UNKNOWN
    bare = _bare(sku)
    if _begins(bare, entry.excluded_skus):
        return Fit.NO
    return Fit.YES if not entry.skus or _begins(bare, entry.skus) else Fit.NO


def _pattern_fits(pattern: str, version: SolutionVersion) -> Fit:
    """Return whether `10.2408.*.*` covers a version; parts left out at the end count as `*`."""
    parts = pattern.strip().split(".")
    numbers = (version.product, version.release, version.train, version.build)
    if len(parts) > len(numbers) or not all(re.fullmatch(r"\*|[0-9]{1,9}", part) for part in parts):
        return Fit.UNKNOWN
    pairs = zip(parts, numbers, strict=False)
    return Fit.YES if all(part == "*" or int(part) == number for part, number in pairs) else Fit.NO


def _begins(bare: str, beginnings: Iterable[str]) -> bool:
    """Whether a stripped text begins with one of these, stripped too; an empty one begins nothing."""
    return any(bare.startswith(_bare(beginning)) for beginning in beginnings if _bare(beginning))


def _bare(text: str) -> str:
    return re.sub(r"\W", "", text).casefold()


def _models(sbe: Sbe) -> str:
    return " or ".join(item.model for item in sbe.models)
