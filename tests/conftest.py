"""For all tests: Ctrl-C works in what they start, also where they themselves were started in the background.

A shell without job control starts a background command with Ctrl-C ignored, and its children inherit that.
No generated example is timed: machines are noisy.
"""

from __future__ import annotations

import signal

from hypothesis import settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
