"""Counts the logons of the file server, which asks the same accounts as WinRM does."""

from __future__ import annotations

from typing import Any

from spnego.exceptions import SpnegoError

from tests.simcluster.auth import claimed_user
from tests.simcluster.journal import Journal
from tests.simcluster.ntlm import Accounts


class CountedAccounts(Accounts):
    """The accounts of a cluster, every attempt written to the journal as `smb USER`."""

    def __init__(self, accounts: Accounts, journal: Journal) -> None:
        self.__dict__.update(accounts.__dict__)
        self._journal = journal

    def acceptor(self, channel_bindings: Any = None) -> Any:
        """Begin one logon that is counted."""
        return _CountedAcceptor(super().acceptor(channel_bindings), self._journal)


class _CountedAcceptor:
    """A context that tells the journal how it ended; everything else is the context's own."""

    def __init__(self, acceptor: Any, journal: Journal) -> None:
        self._acceptor = acceptor
        self._journal = journal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._acceptor, name)

    def step(self, token: bytes | None = None, **options: Any) -> Any:
        """Take a token; an AUTHENTICATE message is an attempt."""
        user = claimed_user(token or b"")
        try:
            answer = self._acceptor.step(token, **options)
        except SpnegoError:
            if user is not None:
                self._journal.count_logon("smb", user, accepted=False)
            raise
        if user is not None:
            self._journal.count_logon("smb", user, accepted=True)
        return answer
