"""Many nodes are asked at once: sixteen take little longer than one."""

from contextlib import ExitStack

import pytest

from tests.benchmarks.bench_check import LIMIT, checker


@pytest.mark.network
@pytest.mark.alone
def test_sixteen_nodes_take_little_longer_than_one(tmp_path):
    with ExitStack() as running:
        one, many = (checker(running, tmp_path, nodes=nodes) for nodes in (1, 16))
        ratios = (many().seconds / one().seconds for _ in range(3))
        assert any(ratio <= LIMIT for ratio in ratios)
