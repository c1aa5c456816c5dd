"""Who may log on to the simulated cluster, and the NTLM acceptor both protocols share.

Two corrections to pyspnego's acceptor live here and nowhere else. Both replace a module-level name
of `spnego._ntlm`, once, when this module is imported; initiators never reach the replaced code.

* The acceptor checks an NTLMv2 response by packing the client's blob anew and comparing. [MS-NLMP]
  3.3.2 defines the proof over the blob *as sent*, and clients other than pyspnego's own (Samba's)
  send blobs that pack differently. `_SentChallenge` therefore remembers the bytes and
  `_expected_response` proves those.
* The acceptor finds its accounts through one process-wide environment variable. Several clusters
  with different passwords must live in one test process, so the user file belongs to the acceptor
  and is in force only while that acceptor works on a token.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import spnego
import spnego._ntlm
from spnego._negotiate import NegotiateProxy
from spnego._ntlm_raw.crypto import compute_response_v2, hmac_md5, ntowfv1
from spnego._ntlm_raw.messages import NTClientChallengeV2, TargetInfo
from spnego.exceptions import InvalidTokenError

_user_file: ContextVar[Path] = ContextVar("_user_file")


class Accounts:
    """The accounts of a simulated cluster: names, passwords and the domains they may be asked in.

    A user may log on as `user`, as `DOMAIN\\user` for each domain, and as `user@DOMAIN`.
    """

    def __init__(
        self, folder: Path, passwords: Mapping[str, str], domains: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self._passwords = {
            spelling.casefold(): password
            for user, password in passwords.items()
            for spelling in _spellings(user, domains)
        }
        # smbpasswd form: a password with a colon does not fit the shorter form pyspnego also reads
        lines = [
            f"{spelling}:1000:{'0' * 32}:{ntowfv1(password).hex().upper()}:[U]:LCT-00000000\n"
            for spelling, password in self._passwords.items()
        ]
        folder.mkdir(parents=True, exist_ok=True)
        self.user_file = folder / "ntlm-users.txt"
        self.user_file.write_text("".join(lines), encoding="utf-8")

    def check_basic(self, user: str, password: str) -> bool:
        """Tell whether the password is the user's; names do not regard case."""
        expected = self._passwords.get(user.casefold())
        return expected is not None and hmac.compare_digest(expected.encode(), password.encode())

    def acceptor(self, channel_bindings: Any = None) -> Any:
        """Begin one logon: a pyspnego server context for Negotiate or bare NTLM tokens.

        Its `step` raises `spnego.exceptions.SpnegoError` for an unknown user, a wrong password, a
        wrong channel binding and a token that cannot be read.

        Args:
            channel_bindings: A `GssChannelBindings` the client must prove, or None for no check.
        """
        return _Acceptor(self.user_file, channel_bindings)


def _spellings(user: str, domains: Sequence[str]) -> list[str]:
    return [user, *(f"{domain}\\{user}" for domain in domains), *(f"{user}@{d}" for d in domains)]


class _Acceptor(NegotiateProxy):  # type: ignore[misc]  # pyspnego is not followed by the type check
    """pyspnego's own Negotiate on every platform, with its user file bound to it."""

    def __init__(self, user_file: Path, channel_bindings: Any) -> None:
        super().__init__(
            channel_bindings=channel_bindings,
            usage="accept",
            options=spnego.NegotiateOptions.use_ntlm,  # never the operating system's provider
        )
        self._user_file = user_file

    @classmethod
    def available_protocols(cls, options: Any = None) -> list[str]:
        return ["ntlm", "negotiate"]  # a KDC is not simulated

    def step(self, in_token: bytes | None = None, *, channel_bindings: Any = None) -> bytes | None:
        token = _user_file.set(self._user_file)
        try:
            answer: bytes | None = super().step(in_token, channel_bindings=channel_bindings)
        except (struct.error, ValueError, LookupError, TypeError) as exc:
            raise InvalidTokenError(context_msg=f"The token cannot be read: {exc}") from exc
        finally:
            _user_file.reset(token)
        return answer


class _SentTargetInfo(TargetInfo):  # type: ignore[misc]
    """The AV_PAIRS of a client's blob, which carries the whole blob along."""

    blob = b""


class _SentChallenge(NTClientChallengeV2):  # type: ignore[misc]
    """An NTLMv2_CLIENT_CHALLENGE that does not forget the bytes it was read from."""

    @property
    def av_pairs(self) -> _SentTargetInfo:
        pairs = _SentTargetInfo(super().av_pairs)
        pairs.blob = self.pack()
        return pairs

    @staticmethod
    def unpack(b_data: bytes) -> _SentChallenge:
        return _SentChallenge(_b_data=b_data)


def _expected_response(
    nt_hash: bytes, server_challenge: bytes, client_challenge: bytes, time: Any, av_pairs: Any
) -> tuple[bytes, bytes, bytes]:
    """Compute what `compute_response_v2` does, over the client's own blob where there is one.

    Returns:
        The NT response, the LM response and the session base key.

    Source: [MS-NLMP] 3.3.2.
    """
    response: tuple[bytes, bytes, bytes] = compute_response_v2(
        nt_hash, server_challenge, client_challenge, time, av_pairs
    )
    if not isinstance(av_pairs, _SentTargetInfo):
        return response
    proof = hmac_md5(nt_hash, server_challenge + av_pairs.blob)
    return proof + av_pairs.blob, response[1], hmac_md5(nt_hash, proof)


_environment_user_file = spnego._ntlm._get_credential_file


def _current_user_file() -> str | None:
    bound = _user_file.get(None)
    found: str | None = str(bound) if bound else _environment_user_file()
    return found


spnego._ntlm.NTClientChallengeV2 = _SentChallenge
spnego._ntlm.compute_response_v2 = _expected_response
spnego._ntlm._get_credential_file = _current_user_file
