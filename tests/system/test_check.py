import pytest

pytestmark = pytest.mark.network


@pytest.fixture
def plant7(carried, simulate):
    return simulate(carried, nodes=2)


def test_all_that_passes_is_one_line(carried, plant7):
    done = carried.ferry("cluster", "check", "medium", expect=None)
    assert "checks pass" in done.out
    assert plant7.world.journal is not None


def test_node_that_is_down_leaves_the_rest_judged(carried, plant7):
    plant7.faults.arm("down", node="node2")
    result = carried.ferry("cluster", "check", "--json", expect=1).data
    critical = [row for row in result["results"] if row["verdict"] == "critical"]
    assert [(row["check"], row["node"]) for row in critical] == [("node-reached", "node2")]
