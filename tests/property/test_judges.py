"""Whatever words a cluster uses, every check of readiness says something of it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cluster.wellknown import (
    ENVIRONMENT,
    disk,
    groups,
    node_state,
    results,
    well,
    with_cluster,
)
from toolkit.cluster._checks import CHECKS, CheckVerdict, judge_all
from toolkit.cluster._cmdlets.ready import CauState, StorageJob
from toolkit.model import HealthCheck

OURS = [check for check in CHECKS if check.about == "readiness"]
WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["Up", "Online", "Failed", "Healthy", "Running", "12.2604.1003.9", "4.0.0.0"]),
)


@given(words=st.lists(WORDS, min_size=12, max_size=12))
def test_every_check_speaks_whatever_words_the_cluster_uses(words):
    check = HealthCheck(name=words[0], status=words[1], severity=words[2])
    answers = with_cluster(
        well(),
        nodes=(node_state("node1", *words[3:6]),),
        groups=groups(**{words[6] or "x": words[7]}),
        pools=disk(words[8]),
        jobs=(StorageJob(name=words[0], state=words[9], percent=words[1], left_bytes=None),),
        cau=CauState(state=words[10]),
        environment=replace(
            ENVIRONMENT,
            current_version=words[11],
            current_sbe_version=words[8],
            sbe_family=words[0],
            state=words[7],
            health_checks=(check,),
        ),
        health_files=results(check),
    )
    readiness = judge_all(answers, OURS)
    spoken = {result.check for result in readiness.results}
    assert spoken | {name for name, _ in readiness.not_asked} == {check.id for check in OURS}
    assert all(result.evidence for result in readiness.results)
    told = [result for result in readiness.results if result.verdict is not CheckVerdict.PASS]
    assert all(result.remedy for result in told)
