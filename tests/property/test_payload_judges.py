"""Whatever words a cluster uses, every check of what the payload lacks says something of it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cluster.test_payload_checks import (
    CHECKS,
    CONNECTED,
    NODES,
    answers,
    node,
    reach,
    source,
    variables,
)
from toolkit.cluster._checks import CheckVerdict, judge_all
from toolkit.cluster._checks._check import Told
from toolkit.cluster._cmdlets.payload import Registration

WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            *("True", "offline", "Connected", "Ok", "ConnectionFailure", "https://fakehost"),
            *(
                "https://edgeartifacts.blob.x/y",
                "http://[",
                "node1",
                "node2.lan",
                "12.2603.1002.15",
            ),
        ]
    ),
)
MAYBE = st.one_of(WORDS.map(lambda word: Told(value=word)), st.just(Told(why="gone")))


@given(
    words=st.lists(WORDS, min_size=10, max_size=10),
    owner=MAYBE,
    lost=st.sets(st.sampled_from(NODES)),
    version=st.sampled_from([None, "12.2603.1002.15", "12.2604.1003.9"]),
)
def test_every_check_speaks_whatever_words_the_cluster_uses(words, owner, lost, version):
    nodes = [
        node(
            name,
            variables(words[number], words[number + 2]),
            words[4:6],
            "gone" if name in lost else "",
        )
        for number, name in enumerate(NODES)
    ]
    cluster = replace(
        CONNECTED,
        discovery=Told(value=(source("SBE", words[7], words[8]), source("Solution", words[9], ""))),
        registration=Told(value=Registration(connection=words[8], registration=words[0])),
        orchestrator=owner,
        endpoints=reach(missed=["aka.ms"], untold=["mcr.microsoft.com"]),
    )
    readiness = judge_all(answers(cluster, nodes, installed=words[6], version=version), CHECKS)
    spoken = {result.check for result in readiness.results}
    assert spoken | {name for name, _ in readiness.not_asked} == {check.id for check in CHECKS}
    assert all(result.evidence for result in readiness.results)
    told = [result for result in readiness.results if result.verdict is not CheckVerdict.PASS]
    assert all(result.remedy for result in told)
