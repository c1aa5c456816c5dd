"""For all tests: Ctrl-C works in what they start, also where they themselves were started in the background.

A shell without job control starts a background command with Ctrl-C ignored, and its children inherit that.
"""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
