"""Every error this toolkit raises on purpose, and the exit code each family ends in.

::

    ToolkitError              70   a bug if it reaches the user unclassified
    ├─ TrustError              3   never retried, never overridable
    │   ├─ DigestError             length or hash differs from the signed or published value
    │   ├─ SignatureError          signed by nobody we trust, or not at all
    │   ├─ ExpiredError            was valid once
    │   ├─ RollbackError           older than what this site has already accepted
    │   └─ UnknownTargetError      the signed metadata does not list it
    ├─ ReachError              4   we did not get there
    │   ├─ DownloadError           a web server did not give us the file
    │   ├─ ConnectError            no connection, or no secure one
    │   ├─ AuthenticationError     refused; never tried again, accounts lock
    │   ├─ SessionLostError        it was there and went away; what it did last is unknown
    │   └─ TransferError           a copy stopped before its end
    ├─ ClusterError            5   we got there, it said no
    │   ├─ CommandError            a cmdlet failed: its own words and error id
    │   └─ StateError              the wrong moment: action, current and expected state
    ├─ StorageError            6   local disk or medium: missing, full, unreadable
    └─ InputError              7   manifest, settings, log bundle … cannot be understood

Exit codes without a class here: 0 done, 1 done and the answer is "no", 2 usage, 130 stopped by hand, 143 ended by
the system (SIGTERM; the shell's number, nothing here returns it).

Each error is built from facts and composes its own sentence from them: what was attempted, what was
found, what was expected. `hint` says what to do next.
"""

from __future__ import annotations

import json
import re

_QUOTED = re.compile(r"""(?<!\w)(['"])((?:(?!\1(?!\w)).){200,})\1(?!\w)""")
"""A quotation, as `repr` makes it, that is longer than anything one has to see whole; not the apostrophe in a word."""
_NO_REPLY = "GatewayTimeout"
_NOT_NOW = re.compile(rf"{_NO_REPLY}|ConnectFailure", re.IGNORECASE)
_DIGITS = re.compile(r"\d{200,}")
"""A number that is as long."""
_SHOWN = 100
"""How many characters of such a quotation or number are shown."""


class ToolkitError(Exception):
    """What was attempted, what was found instead, what was expected, what to do next.

    Args:
        attempted: What we tried, as a clause: "verify medium E:".
        found: What we found.
        expected: What should have been there.
        hint: What the operator can do next; a full sentence.
    """

    exit_code = 70

    def __init__(
        self,
        attempted: str,
        *,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Keep the facts; the sentence is built when it is printed."""
        super().__init__(attempted)
        self.attempted = shortened(attempted)
        self.found = shortened(found) if found is not None else None
        self.expected = shortened(expected) if expected is not None else None
        self.hint = hint

    def __str__(self) -> str:
        """Return the sentence: attempted, found, expected (the hint is printed apart)."""
        text = self.attempted
        if self.found is not None:
            text += f": {self.found}"
        if self.expected is not None:
            text += f" (expected: {self.expected})"
        return text


class TrustError(ToolkitError):
    """Bytes or statements that cannot be proven. Never retried, never overridable."""

    exit_code = 3


class DigestError(TrustError):
    """Length or hash differs from the signed or published value."""


class SignatureError(TrustError):
    """Signed by nobody we trust, or not signed at all."""


class ExpiredError(TrustError):
    """Signed by somebody we trust, but its time is over."""


class RollbackError(TrustError):
    """Older than what this site has already accepted."""


class UnknownTargetError(TrustError):
    """The signed metadata does not list this name."""


class ReachError(ToolkitError):
    """We did not get there. Idempotent steps may be tried again."""

    exit_code = 4


class DownloadError(ReachError):
    """A web server did not give us the whole file."""


class ConnectError(ReachError):
    """No connection, or no secure one."""


class AuthenticationError(ReachError):
    """The other side refused our credential. Never tried again: accounts lock."""


class SessionLostError(ReachError):
    """The session went away under us: what the last command did is unknown."""


class TransferError(ReachError):
    """A copy to or from a node stopped before its end."""


class ClusterError(ToolkitError):
    """We reached the cluster and it said no."""

    exit_code = 5


class CommandError(ClusterError):
    """A cmdlet failed on the node.

    Args:
        attempted: What we tried.
        cmdlet: Name of the cmdlet that failed.
        error_id: Its FullyQualifiedErrorId, as the node sent it.
        found: The cluster's own words.
        expected: What should have happened.
        hint: What to do next.
    """

    def __init__(
        self,
        attempted: str,
        *,
        cmdlet: str,
        error_id: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Keep the facts of one failed cmdlet."""
        super().__init__(attempted, found=found, expected=expected, hint=hint)
        self.cmdlet = cmdlet
        self.error_id = error_id
        self.words = found or ""
        """The cluster's own words, whole: the message shows long quotations only in part."""


def says_not_now(words: str) -> bool:
    """Whether a cmdlet says that the update service is overloaded, or just moves to another node.

    Source: Get-SolutionUpdate-GatewayTimeout.md.
    """
    return _NOT_NOW.search(words) is not None


def says_no_reply(words: str) -> bool:
    """Whether a cmdlet says that the update service did not answer in time: it may have done what it was asked."""
    return _NO_REPLY.casefold() in words.casefold()


class StateError(ClusterError):
    """The cluster is not in a state in which this may be done.

    Args:
        action: What was asked for: "start update 12.2603.1002.15".
        current: The state found.
        expected: The states in which the action is allowed.
        hint: What to do next.
    """

    def __init__(
        self, action: str, *, current: str, expected: str | None = None, hint: str | None = None
    ) -> None:
        """Keep action, current and expected state."""
        super().__init__(action, found=current, expected=expected, hint=hint)


class StorageError(ToolkitError):
    """Local disk or medium: missing, full, read-only, unreadable."""

    exit_code = 6


class InputError(ToolkitError):
    """Something given to us cannot be understood.

    Args:
        attempted: What we tried to read.
        file: The file it stands in, if any.
        place: Where in it: key, line, member, record.
        found: What stands there.
        expected: What should stand there.
        hint: What to do next.
    """

    exit_code = 7

    def __init__(
        self,
        attempted: str,
        *,
        file: str | None = None,
        place: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Keep file and place, so that the operator can open it there."""
        where = ", ".join(part for part in (file, place) if part)
        super().__init__(
            f"{attempted} [{where}]" if where else attempted,
            found=found,
            expected=expected,
            hint=hint,
        )
        self.file = file
        self.place = place


def shortened(sentence: str) -> str:
    """Return a sentence in which no quotation and no number is longer than a person reads.

    Args:
        sentence: Part of an error; may quote what a person typed or a stranger wrote.
    """
    sentence = _QUOTED.sub(
        lambda found: f"{found[1]}{found[2][:_SHOWN]}…{found[1]} ({len(found[2])} characters)",
        sentence,
    )
    return _DIGITS.sub(lambda found: f"{found[0][:_SHOWN]}… ({len(found[0])} digits)", sentence)


def misread(error: Exception) -> str:
    """Return in plain words why bytes were not understood, for the `found` of an error.

    A `ValueError` raised here in the toolkit says it in its own words already.

    Args:
        error: What a parser raised, or what using its values did.
    """
    match error:
        case json.JSONDecodeError() if not error.doc.strip():
            return "nothing in it"
        case json.JSONDecodeError():
            return f"no JSON at line {error.lineno}, column {error.colno}"
        case UnicodeDecodeError():
            return f"no text in UTF-8 at byte {error.start}"
        case UnicodeEncodeError():
            return "half a character in a text"
        case RecursionError():
            return "values nested too deeply"
        case KeyError():
            return f"no {json.dumps(error.args[0] if error.args else None, default=str)}"
        case TypeError() | AttributeError():
            return "a value of another kind than its place asks for"
        case OverflowError():
            return "a number too large for its place"
        case ValueError() if str(error).startswith("Exceeds the limit"):  # of int(), on purpose
            return "a number of thousands of digits"
        case _:
            return str(error) or "nothing that can be understood"


def system_says(error: OSError) -> str:
    """Return the operating system's own words for what it refused, without its number and our paths.

    Args:
        error: What a call of the system raised.
    """
    return error.strerror or str(error) or "the system gave no reason"
