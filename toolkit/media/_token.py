"""Root keys on hardware tokens (PKCS#11): a key that cannot be copied, and a PIN instead of a passphrase.

securesystemslib's HSMSigner talks to the token through python-pkcs11 (the extra `hsm`) and the library that
the token's vendor gives, whose path is in PYKCS11LIB. Only machines that hold a token need either: sites check
such signatures (ECDSA on P-256 or P-384) as they check all others. A PIN is tried once: tokens lock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qs, urlsplit

from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import HSMSigner, Signature, SSlibKey

from toolkit.errors import InputError


@dataclass(frozen=True, kw_only=True)  # without slots: the public key is asked for once
class Token:
    """One key on one hardware token."""

    address: str
    """As securesystemslib writes it: `hsm:2?label=anna`, the key's id and the token's label."""
    pin: str = field(repr=False)

    @cached_property
    def public_key(self) -> SSlibKey:
        """The public key; asked for once, each time is a login.

        Raises:
            InputError: Address, library, token, key or PIN is not as it should be.
        """
        keyid, label = self._place()
        with self._talking():
            _, key = HSMSigner.import_(keyid, label, self._give_pin)
        return key

    def sign(self, payload: bytes) -> Signature:
        """Sign on the token.

        Raises:
            InputError: Address, library, token, key or PIN is not as it should be.
        """
        keyid, label = self._place()
        key = self.public_key
        with self._talking():
            return HSMSigner(keyid, key, self._give_pin, label).sign(payload)

    def _give_pin(self, _: str) -> str:
        return self.pin

    def _place(self) -> tuple[int, str]:
        parts = urlsplit(self.address)
        labels = parse_qs(parts.query).get("label", [])
        if parts.scheme != "hsm" or not parts.path.isdecimal() or len(labels) != 1:
            raise InputError(
                "find the token",
                found=self.address,
                expected="hsm:ID?label=LABEL, such as hsm:2?label=anna (a blank in a label is +)",
                hint="ID is the number of the key; slot 9c of a PIV token is 2",
            )
        return int(parts.path), labels[0]

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        attempted = f"use the key {self.address}"
        try:
            yield
        except UnsupportedLibraryError as error:
            raise InputError(
                attempted,
                found="no python-pkcs11 on this machine",
                expected="ferry with its extra hsm",
                hint="install it where there is a network: pip install azlocal-ferry[hsm]",
            ) from error
        except (ValueError, RuntimeError) as error:  # of securesystemslib, and PKCS11Error
            name = type(error).__name__
            is_pin = name.startswith("Pin")
            raise InputError(
                attempted,
                found=f"the token says {name}" if is_pin else str(error) or name,
                expected="the right PIN"
                if is_pin
                else "the token plugged in, with an EC key of that id",
                hint="check FERRY_TOKEN_PIN or what you typed: a few wrong PINs lock the token"
                if is_pin
                else "PYKCS11LIB must name the PKCS#11 library of the token's vendor",
            ) from error
