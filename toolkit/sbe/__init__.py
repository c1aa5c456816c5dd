"""Solution Builder Extensions (SBE): the hardware vendor's share of an update. Pure.

The nouns, what a vendor's discovery manifest says of its SBEs, and the rules by which an SBE belongs on a
cluster or not. Both sides of the gap use the same ones.

::

    named = sbe_named("SBE_Contoso_GenA_4.2.2603.5.zip")
    sbe = describe_sbe(named, data, file="SBE_Discovery_Contoso.xml")
    against = unfit_reasons(sbe, ClusterFacts(hardware=Hardware(model="AX-760"), family="GenA"))
"""

from toolkit.sbe._fit import (
    ClusterFacts,
    Fit,
    belongs,
    model_fits,
    unfit_reasons,
    unsure_reasons,
    validated_for,
)
from toolkit.sbe._manifest import (
    DISCOVERY_NAME,
    SbeManifest,
    Unread,
    describe_sbe,
    digest_of,
    read_sbe_manifest,
)
from toolkit.sbe._nouns import (
    NO_SBE,
    UNINSTALLED_SBE,
    Hardware,
    Sbe,
    SbeVersion,
    SupportedModel,
    sbe_named,
)

__all__ = [
    "DISCOVERY_NAME",
    "NO_SBE",
    "UNINSTALLED_SBE",
    "ClusterFacts",
    "Fit",
    "Hardware",
    "Sbe",
    "SbeManifest",
    "SbeVersion",
    "SupportedModel",
    "Unread",
    "belongs",
    "describe_sbe",
    "digest_of",
    "model_fits",
    "read_sbe_manifest",
    "sbe_named",
    "unfit_reasons",
    "unsure_reasons",
    "validated_for",
]
