"""The update service, asked again as long as it says not now: overloaded, or just moved to another node.

Source: Get-SolutionUpdate-GatewayTimeout.md (frequent questions starve it, so the pauses grow).
"""

from __future__ import annotations

from collections.abc import Callable

from toolkit.errors import CommandError, says_not_now
from toolkit.model import Progress, T

MOST_PAUSE_S = 300
_FIRST_PAUSE_S = 60


def answered(
    ask: Callable[[], T],
    until: float,
    *,
    poll_s: float,
    progress: Progress,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> T:
    """Ask, and ask again, ever later, while the update service says not now.

    Args:
        ask: Asks once.
        until: When that ends, by the clock.
        poll_s: First pause between looks that are answered: what is not is asked again later than that.
        progress: Told of each pause.
        sleep: Waits.
        clock: Monotonic seconds.

    Raises:
        ClusterError: It says something else, or nothing until then.
        ReachError: The node went away.
    """
    pause_s = max(poll_s * 2, _FIRST_PAUSE_S)
    while True:
        try:
            return ask()
        except CommandError as error:
            if clock() >= until or not says_not_now(error.words):
                raise
            progress.say(
                f"the update service does not answer ({error.found}); asking again in {pause_s:.0f} s"
            )
        sleep(pause_s)
        pause_s = min(pause_s * 1.5, MOST_PAUSE_S)
