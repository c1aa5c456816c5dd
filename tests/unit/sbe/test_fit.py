"""Which SBE belongs on which cluster: the rules that plan, medium and import share."""

from dataclasses import replace

import pytest

from toolkit.model import SolutionVersion
from toolkit.sbe import (
    NO_SBE,
    UNINSTALLED_SBE,
    ClusterFacts,
    Fit,
    Hardware,
    Sbe,
    SbeVersion,
    SupportedModel,
    belongs,
    model_fits,
    sbe_named,
    unfit_reasons,
    unsure_reasons,
    validated_for,
)

TARGET = SolutionVersion.parse("12.2603.1002.15")
GEN3 = Sbe(
    publisher="Contoso",
    family="Gen3",
    version=SbeVersion.parse("4.2.2603.5"),
    models=(SupportedModel(model="Contoso X9000"),),
    validated_for=("12.2602.*.*", "12.2603.*.*"),
)
MACHINE = Hardware(manufacturer="Contoso", model="Contoso X-9000 RevA", sku="SKU-Pro")


def examined(rule, sbe=GEN3, **facts):
    defaults = {
        "hardware": MACHINE,
        "family": "Gen3",
        "installed": SbeVersion.parse("4.2.2510.1"),
        "requested": None,
        "solution": TARGET,
    }
    return rule(sbe, ClusterFacts(**(defaults | facts)))


def against(sbe=GEN3, **facts):
    return " | ".join(examined(unfit_reasons, sbe, **facts))


def open_about(sbe=GEN3, **facts):
    return " | ".join(examined(unsure_reasons, sbe, **facts))


def of_models(*models):
    return replace(GEN3, models=models)


# The worked examples of Troubleshooting-SBEHealth-Test-Endpoint-Matches-ModelSKU.md.
X9000 = SupportedModel(model="Contoso X9000", skus=("SKU-Standard", "SKU-Pro"))
X9100 = SupportedModel(model="Contoso X9100")
X9200 = SupportedModel(model="Contoso X9200", excluded_skus=("SKU-Lab",))


@pytest.mark.parametrize(
    ("model", "sku", "fit"),
    [
        ("Contoso X9000 RevA", "SKU-Pro", Fit.YES),
        ("Contoso X9000 RevA", "SKU-Lab", Fit.NO),
        ("Contoso X9000 RevA", "", Fit.UNKNOWN),
        ("Contoso X9100 RevA", "SKU-Lab", Fit.YES),
        ("Contoso X9100 RevA", "", Fit.YES),
        ("Contoso X9200 RevA", "SKU-Lab", Fit.NO),
        ("Contoso X9200 RevA", "SKU-Pro", Fit.YES),
        ("Contoso X9200 RevA", "", Fit.UNKNOWN),
        ("CONTOSO_X9000", "SKU-Pro", Fit.NO),  # an underscore is a word character
        ("contoso-x9000", "sku pro 2", Fit.YES),
        ("X9000", "SKU-Pro", Fit.NO),  # the machine's model begins with the supported one
        ("Contoso X900", "SKU-Pro", Fit.NO),
        ("", "SKU-Pro", Fit.UNKNOWN),
    ],
)
def test_models_match_by_their_beginning_and_skus_restrict_them(model, sku, fit):
    found = model_fits(of_models(X9000, X9100, X9200), Hardware(model=model, sku=sku))
    assert found.fit is fit, found.text


def test_one_entry_that_fits_is_enough():
    sbe = of_models(SupportedModel(model="Contoso X9000", skus=("SKU-Lab",)), X9000)
    assert model_fits(sbe, MACHINE).fit is Fit.YES


def test_an_empty_model_or_sku_in_a_manifest_supports_nothing():
    assert model_fits(of_models(SupportedModel(model=" - ")), MACHINE).fit is Fit.NO
    empty = SupportedModel(model="Contoso X9000", skus=("",))
    assert model_fits(of_models(empty), MACHINE).fit is Fit.NO


def test_an_sbe_without_models_cannot_be_judged_by_them():
    assert model_fits(of_models(), MACHINE).fit is Fit.UNKNOWN


@pytest.mark.parametrize(
    ("patterns", "fit"),
    [
        (("12.2603.*.*",), Fit.YES),
        (("12.2603.1002.15",), Fit.YES),
        (("12.2603",), Fit.YES),
        (("12.*.*.*",), Fit.YES),
        (("10.2408.*.*", "10.2411.*.*"), Fit.NO),
        (("12.2603.1002.16",), Fit.NO),
        (("12.2602.*.*", "later"), Fit.UNKNOWN),
        (("[12.2510, 12.2604)", "12.2603.*.*"), Fit.YES),
        (("12.26*.*.*",), Fit.UNKNOWN),
        (("12.2603.*.*.*",), Fit.UNKNOWN),
        (("9" * 5000,), Fit.UNKNOWN),
        ((), Fit.UNKNOWN),
    ],
)
def test_validated_versions_are_patterns(patterns, fit):
    assert validated_for(replace(GEN3, validated_for=patterns), TARGET).fit is fit


def test_an_sbe_that_fits_has_nothing_against_it_and_nothing_open():
    assert (against(), open_about()) == ("", "")


def test_another_family_is_named_with_the_clusters():
    assert "family Gen3, the cluster is Gen4" in against(family="Gen4")


def test_families_differ_in_more_than_case():
    assert against(family="GEN3") == ""


def test_an_unknown_family_is_open_and_nothing_against_it():
    assert against(family="") == ""
    assert "family is not known" in open_about(family="")


def test_an_sbe_whose_manifest_names_no_family_is_open():
    assert against(replace(GEN3, family="")) == ""
    assert "the family of" in open_about(replace(GEN3, family=""))


def test_an_older_sbe_than_the_installed_one_is_refused_and_the_same_one_is_not():
    assert "older than the installed" in against(installed=SbeVersion.parse("4.2.2603.6"))
    assert against(installed=GEN3.version) == ""


def test_versions_are_compared_as_numbers():
    assert against(installed=SbeVersion.parse("4.2.2603.10")) != ""
    assert against(installed=SbeVersion.parse("4.2.300.10")) == ""


def test_any_sbe_may_follow_none_at_all():
    old = replace(GEN3, version=SbeVersion.parse("2.0.2603.5"))
    assert against(old, installed=NO_SBE) == ""
    assert open_about(old, installed=NO_SBE) == ""


def test_an_sbe_that_was_deployed_but_never_installed_leaves_its_version_open():
    old = replace(GEN3, version=SbeVersion.parse("3.9.2603.5"))
    assert against(old, installed=UNINSTALLED_SBE) == ""
    assert "never installed" in open_about(old, installed=UNINSTALLED_SBE)


def test_an_unknown_installed_is_open():
    assert against(installed=None) == ""
    assert "installed SBE version is not known" in open_about(installed=None)


@pytest.mark.parametrize(("wanted", "word"), [("4.2.2603.6", "older"), ("4.2.2603.4", "newer")])
def test_another_version_than_the_requested_one_is_refused(wanted, word):
    assert f"{word} than {wanted}, which the update asks for" in against(
        requested=SbeVersion.parse(wanted)
    )


def test_an_sbe_not_validated_for_the_update_is_refused():
    solution = SolutionVersion.parse("12.2510.1002.94")
    assert "not for 12.2510.1002.94" in against(solution=solution)
    assert against(solution=None) == ""


def test_an_sbe_for_other_machines_is_refused():
    assert "not Fabrikam Z1" in against(hardware=Hardware(model="Fabrikam Z1"))


def test_a_recalled_sbe_is_refused():
    assert "recalled by Contoso" in against(replace(GEN3, is_recalled=True))


def test_every_reason_is_told_not_only_the_first():
    facts = {"family": "Gen4", "installed": SbeVersion.parse("4.3.0.0")}
    assert len(examined(unfit_reasons, **facts)) == 2


def test_a_name_alone_leaves_models_and_versions_open():
    sbe = sbe_named("SBE_Contoso_Gen3_4.2.2603.5.zip")
    assert against(sbe) == ""
    assert "which models" in open_about(sbe)
    assert "which versions" in open_about(sbe)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("SBE_Contoso_GenA_4.1.2410.5.xml", ("Contoso", "GenA", "4.1.2410.5")),
        ("SBE_Dell_AS-HCI-AX-16G-45n0c_4.2.2506.1600", ("Dell", "AS-HCI-AX-16G-45n0c", "4.2.2506.1600")),
        ("SBE_HPE_Pro_Liant_4.2.2507.1.zip", ("HPE", "Pro_Liant", "4.2.2507.1")),
        ("SBE_Discovery_Contoso.xml", None),
        ("SBE_Content_4.1.2.3.xml", None),
        ("CombinedSolutionBundle.12.2603.1002.15.zip", None),
    ],
)  # fmt: skip
def test_file_names_tell_publisher_family_and_version(name, parts):
    sbe = sbe_named(name)
    assert (sbe and (sbe.publisher, sbe.family, str(sbe.version))) == parts


@pytest.mark.parametrize(
    ("minimum", "installed", "is_open"),
    [
        ("4.2.2510.2", "4.2.2510.1", True),
        ("4.2.2510.1", "4.2.2510.1", False),
        ("4.1.0.0", str(NO_SBE), True),
        ("2.0.0.0", str(NO_SBE), False),
        ("", "4.2.2510.1", False),
        ("the newest", "4.2.2510.1", True),
    ],
)
def test_an_sbe_that_asks_for_another_one_before_it_is_a_question_where_that_is_not_installed(
    minimum, installed, is_open
):
    sbe, facts = replace(GEN3, min_sbe_version=minimum), {"installed": SbeVersion.parse(installed)}
    assert ("before it" in open_about(sbe, **facts)) is is_open
    assert against(sbe, **facts) == ""


# --- what may be taken without a person's word --------------------------------------------------


@pytest.mark.parametrize(
    ("sbe", "facts", "is_fit"),
    [
        (GEN3, {}, True),
        (GEN3, {"family": "gen3"}, True),
        (GEN3, {"family": ""}, False),
        (replace(GEN3, family=""), {}, False),
        (replace(GEN3, validated_for=()), {}, False),
        (replace(GEN3, validated_for=()), {"requested": GEN3.version}, True),
        (GEN3, {"solution": None}, False),
        (GEN3, {"requested": SbeVersion.parse("4.2.2603.4")}, False),
        (replace(GEN3, is_recalled=True), {"requested": GEN3.version}, False),
    ],
)
def test_what_is_not_known_of_an_sbe_never_makes_it_belong_on_a_cluster(sbe, facts, is_fit):
    assert examined(belongs, sbe, **facts) is is_fit
