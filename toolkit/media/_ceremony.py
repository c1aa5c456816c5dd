"""The key ceremony: a new root in steps that people take on machines of their own.

Theory of operation. A draft is one file that travels. `revise` begins or changes it and makes the key files
that the change asks for; `join` and `sign` add signatures, wherever a root key is; `finish` puts the draft
into force by writing it as the next `N.root.json` of a keys folder, once enough have signed under the root
it replaces and under itself. A keys folder that knows its first root judges every draft by it; one that
holds no root yet learns the chain from a draft, if the first root's fingerprint came by another channel.

Nothing is overwritten but the draft: a key has a file of its own, and a root that is in force stays. So the
old keys sign media until the new root is there, and a ceremony that is broken off changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tuf.api.metadata import Metadata, Root

from toolkit.errors import InputError, SignatureError, StorageError, TrustError
from toolkit.filesystem import sync_folder
from toolkit.media._device import on_storage, write_durably
from toolkit.media._draft import (
    DraftFacts,
    RootChange,
    RootDraft,
    RootFacts,
    begin_draft,
    change_draft,
    draft_facts,
    join_drafts,
    read_draft,
    require_not_expired,
    root_facts,
    sign_draft,
)
from toolkit.media._keys import (
    KEY_NAME,
    ROOT,
    ROOT_VALID_DAYS,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    find_key,
    fingerprint,
    key_file,
    new_signer,
    open_key,
    read_fingerprint,
    read_root_chain,
    require_strong,
    store_key,
    walk_roots,
)
from toolkit.media._set import read_small
from toolkit.media._token import Token


class Ceremony:
    """One draft of the next root, beside a keys folder that knows the first one."""

    def __init__(
        self,
        keys_dir: Path,
        draft_file: Path | None = None,
        *,
        first_fingerprint: str | None = None,
        now: datetime | None = None,
    ) -> None:
        """Read a draft and judge it by the keys folder, or begin one in memory if there is no such file.

        Args:
            keys_dir: Holds the root chain; the chain is written there if a fingerprint proves it.
            draft_file: By default `N.root.draft.json` in the keys folder, for the next root.
            first_fingerprint: Of the first root, from another channel; required where the keys folder
                holds no root yet.
            now: The time; the clock by default.

        Raises:
            InputError: Not a draft, one that could never end, or one that comes too late.
            SignatureError: A draft of another publisher, or one whose signatures do not hold.
            TrustError: The first root has another fingerprint, or none was given.
            StorageError: Keys folder or draft cannot be read.
        """
        self._keys_dir = keys_dir
        self._now = now or datetime.now(UTC)
        known = _known_roots(keys_dir)
        if draft_file is None:
            draft_file = keys_dir / f"{len(known) + 1}.root.draft.json"
        self.draft_file = draft_file
        if known:
            walk_roots(known, folder=str(keys_dir))
        with on_storage(f"look for the draft {draft_file}"):
            self._is_begun = draft_file.exists()
        self._draft = (
            _read(draft_file) if self._is_begun else begin_draft(known or read_root_chain(keys_dir))
        )
        self._require_known(known, first_fingerprint)
        self._missing = self._draft.roots[len(known) :]
        self.is_in_force = len(known) > len(self._draft.roots)
        """Whether nothing is left to do for the draft: its root is in the keys folder."""
        self.unused: tuple[Path, ...] = ()
        """Key files that neither a root nor this draft names: as `revise` found them, dropped or of a killed run."""

    @property
    def facts(self) -> DraftFacts:
        """What the draft would change, and who still has to sign it."""
        return draft_facts(self._draft)

    def revise(
        self, change: RootChange, passphrase: str = "", *, token: Token | None = None
    ) -> Path | None:
        """Change the next root; signatures given before are gone.

        Args:
            change: How.
            passphrase: Encrypts the new key, if the change makes one.
            token: Has the key that the change adds; none is made then.

        Returns:
            The file of the new key, if one was made.

        Raises:
            InputError: The change makes no sense, would leave a draft that can never end, or the
                passphrase is too short or not that of the other keys that sign media. A token that
                cannot be used, or is meant for another role than root.
            StorageError: Key or draft cannot be written.
        """
        self._require_open()
        if change.expires_at is None and not self._is_begun:
            change = replace(change, expires_at=self._now + timedelta(days=ROOT_VALID_DAYS))
        if token is not None and change.role != ROOT:
            raise InputError(
                f"give the role {change.role} a key on a token",
                found="a role that signs media, with key files",
                expected="the role root",
                hint="leave out --token: a key file is made for it",
            )
        signer = new_signer() if change.adds_key and token is None else None
        holder = signer or token
        draft = change_draft(
            self._draft, change, new_key=holder.public_key if holder else None, now=self._now
        )
        path = None
        if signer is not None:
            require_strong(passphrase)
            self._require_common(change.role, passphrase)
            path = self._keys_dir / key_file(change.role, signer.public_key.keyid)
            with on_storage(f"make the key {path}"):
                self._keys_dir.mkdir(parents=True, exist_ok=True)
                store_key(path, signer, passphrase)
                sync_folder(self._keys_dir)
        self._save(draft)
        with on_storage(f"look for keys in {self._keys_dir}"):
            self.unused = tuple(self._unnamed())
        return path

    def join(self, copies: Sequence[Path]) -> None:
        """Take the signatures of copies that others have signed.

        Raises:
            InputError: Not a draft.
            SignatureError: A copy says something else, or a signature does not hold.
            StorageError: A copy cannot be read, or the draft cannot be written.
        """
        draft = self._draft
        for path in copies:
            draft = join_drafts(draft, _read(path), file=str(path))
        if copies and not self.is_in_force:
            self._save(draft)

    def sign(self, key: Path | Token, passphrase: str = "") -> str:
        """Add the signature of one root key; a second one of the same key changes nothing.

        Args:
            key: A key file, or a key on a hardware token.
            passphrase: Opens the key file.

        Returns:
            The id of the key.

        Raises:
            InputError: Wrong passphrase or PIN, not a root key, or the next root has expired by now.
            StorageError: There is no draft, the key cannot be read, or the draft cannot be written.
        """
        self._require_open()
        if not self._is_begun:
            raise StorageError(f"sign the draft {self.draft_file}", found="no such file")
        require_not_expired(self._draft, now=self._now)
        signer = key if isinstance(key, Token) else open_key(key, passphrase)
        where = key.address if isinstance(key, Token) else str(key)
        self._save(sign_draft(self._draft, signer, file=where))
        return signer.public_key.keyid

    def finish(self) -> Path | None:
        """Put the draft into force in the keys folder, if enough have signed; again does nothing.

        Returns:
            The root's file, or None while signatures are missing.

        Raises:
            InputError: The next root has expired by now.
            StorageError: The keys folder cannot be written.
        """
        path = self._keys_dir / f"{self._draft.new.version}.root.json"
        if self.is_in_force:
            return path
        if not self.facts.is_enough:
            return None
        require_not_expired(self._draft, now=self._now)
        data = self._draft.proposal.to_bytes()
        walk_roots((*self._draft.roots, data), folder=str(self._keys_dir))
        self._write_missing()
        with on_storage(f"put root {self._draft.new.version} into force"):
            write_durably(path, data)
        self.is_in_force = True
        return path

    def _save(self, draft: RootDraft) -> None:
        self._write_missing()
        with on_storage(f"write the draft {self.draft_file}"):
            write_durably(self.draft_file, draft.to_bytes())
        self._draft, self._is_begun = draft, True

    def _unnamed(self) -> Iterator[Path]:
        """Yield the files of keys that have an id in their name which no root and not this draft names."""
        roots = [Metadata[Root].from_bytes(data).signed for data in self._draft.roots]
        named = {
            key_file(role, keyid)
            for root in (*roots, self._draft.new)
            for role, names in root.roles.items()
            for keyid in names.keyids
        }
        for path in sorted(self._keys_dir.iterdir()):
            if KEY_NAME.match(path.name) and path.name not in named:
                yield path

    def _write_missing(self) -> None:
        first = len(self._draft.roots) - len(self._missing) + 1
        with on_storage(f"write the roots in {self._keys_dir}"):
            for version, data in enumerate(self._missing, start=first):
                write_durably(self._keys_dir / f"{version}.root.json", data)
        self._missing = ()

    def _require_known(self, known: Sequence[bytes], first_fingerprint: str | None) -> None:
        """Refuse a draft that does not go on from the roots of the keys folder."""
        first = fingerprint(self._draft.roots[0])
        if first_fingerprint is not None and read_fingerprint(first_fingerprint) != first:
            raise TrustError(
                f"believe the draft {self.draft_file}",
                found=f"a first root with fingerprint {first}",
                expected=read_fingerprint(first_fingerprint),
                hint="do not go on: ask the publisher for the fingerprint again, by voice or on paper",
            )
        if not known and first_fingerprint is None:
            raise TrustError(
                f"believe the draft {self.draft_file}",
                found=f"no root in {self._keys_dir} to judge it by; its first root is {first}",
                expected="1.root.json there, or --fingerprint",
                hint="give --fingerprint as you have it by voice or on paper, not from where the draft "
                "came from; it is asked for once",
            )
        chain = (*self._draft.roots, self._draft.proposal.to_bytes())
        for version, (ours, theirs) in enumerate(zip(known, chain, strict=False), start=1):
            if _said(ours) == _said(theirs):
                continue
            if version == len(chain):
                raise self._too_late(f"another root {version}, which is in force")
            raise SignatureError(
                f"believe the draft {self.draft_file}",
                found=f"a root {version} that is not the one in {self._keys_dir}",
                expected=fingerprint(ours),
                hint="it is another publisher's draft, or a forged one: do not sign it",
            )
        if len(known) > len(chain):
            raise self._too_late(f"root {len(known)}, which is in force")

    def _too_late(self, found: str) -> InputError:
        return InputError(
            f"go on with root {self._draft.new.version}",
            file=str(self.draft_file),
            found=found,
            expected=f"root {self._draft.old.version} in force, which this draft replaces",
            hint="two drafts were made of one root, or this is an old one: begin again with a new draft "
            "if something of it is still wanted",
        )

    def _require_open(self) -> None:
        if self.is_in_force:
            raise InputError(
                f"go on with root {self._draft.new.version}",
                file=str(self.draft_file),
                found="it is in force already",
                expected="a draft that is not finished",
                hint="nothing is left to do for it; a further change is a new draft",
            )

    def _require_common(self, role: str, passphrase: str) -> None:
        """Let all keys that sign media open with one passphrase: `media write` asks for one."""
        for other in {TARGETS, SNAPSHOT, TIMESTAMP} - {role} if role != ROOT else ():
            path = find_key(self._keys_dir, other, self._draft.old.roles[other].keyids)
            if path is not None:
                open_key(path, passphrase)


def describe_root(keys_dir: Path) -> RootFacts:
    """Return what the newest root of a keys folder says, after proving its chain.

    Raises:
        InputError: No root there, or a gap in the chain.
        SignatureError: The chain does not hold.
        StorageError: The folder cannot be read.
    """
    roots = read_root_chain(keys_dir)
    walk_roots(roots, folder=str(keys_dir))
    return root_facts(roots[-1])


def describe_draft(draft_file: Path) -> DraftFacts:
    """Return what a draft would change; whose it is only its first fingerprint tells.

    Raises:
        InputError: Not a draft, or one that could never end.
        SignatureError: Chain or signatures do not hold.
        StorageError: It cannot be read.
    """
    return draft_facts(_read(draft_file))


def _read(draft_file: Path) -> RootDraft:
    with on_storage(f"read the draft {draft_file}"):
        data = read_small(draft_file)
    return read_draft(data, file=str(draft_file))


def _known_roots(keys_dir: Path) -> tuple[bytes, ...]:
    with on_storage(f"look for roots in {keys_dir}"):
        holds_any = keys_dir.is_dir() and any(keys_dir.glob("*.root.json"))
    return read_root_chain(keys_dir) if holds_any else ()


def _said(root: bytes) -> bytes:
    """Return what is signed of a root: copies may carry more signatures or fewer."""
    return Metadata[Root].from_bytes(root).signed_bytes
