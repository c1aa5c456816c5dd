"""The next root while it is being agreed upon: pure values and the rules of a change of root.

A draft holds the chain of roots it follows and the next one with the signatures so far, so that whoever is
to sign it can judge it on a machine that holds nothing but a key. Every draft can end: what could never
become a root (more signatures asked for than there are keys, a role without a key, another version) is
refused when it is read and when it is changed. Any change takes the signatures away: they were given for
something else.

The signed statement is TUF's own root metadata; the draft around it proves nothing and is believed in
nothing: the chain is walked, ids of keys are computed again, and every signature is checked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import Key, Signature
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Role, Root, VerificationResult

from toolkit.errors import InputError, SignatureError, misread
from toolkit.media._keys import (
    ISSUED_AT,
    ROLES,
    ROOT,
    as_instant,
    fingerprint,
    issue_time,
    walk_roots,
)

_FORMAT = 1
_KIND = "ferry-root-draft"


class RootSigner(Protocol):
    """A root key, wherever it lives."""

    @property
    def public_key(self) -> Key:
        """The public key."""

    def sign(self, payload: bytes) -> Signature:
        """Sign these bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootChange:
    """One change to the next root; what is left out stays as it is."""

    role: str = ROOT
    adds_key: bool = False
    """Give the role one more key: a new one, or one on a hardware token."""
    removes: str | None = None
    """The beginning of the id of a key that the role loses; empty: its only one, whose place the new one takes."""
    threshold: int | None = None
    """How many root keys must sign; of the role root only."""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleKeys:
    """Who signs for a role."""

    role: str
    threshold: int
    keyids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFacts:
    """What a root says."""

    version: int
    fingerprint: str
    """Of its file; of a draft: of the statement that is signed, the same in every copy."""
    issued_at: datetime
    expires_at: datetime
    roles: tuple[RoleKeys, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """How far the signatures of a draft go with one of the two roots that must agree."""

    version: int
    """Of the root that names these keys."""
    missing: int
    signed: tuple[str, ...]
    unsigned: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftFacts:
    """What a draft would change, and who still has to sign it."""

    first_fingerprint: str
    """Of the first root of the chain it follows, as sites pin it."""
    root: RootFacts
    changes: tuple[str, ...]
    """In words, one change each."""
    quorums: tuple[Quorum, Quorum]
    """Under the root it replaces, and under itself."""

    @property
    def is_enough(self) -> bool:
        """Whether nobody has to sign any more."""
        return not any(quorum.missing for quorum in self.quorums)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootDraft:
    """The next root with its signatures so far, and the chain it follows. Never changed in place."""

    roots: tuple[bytes, ...]
    proposal: Metadata[Root] = field(repr=False)

    @property
    def old(self) -> Root:
        """The root that it replaces."""
        return Metadata[Root].from_bytes(self.roots[-1]).signed

    @property
    def new(self) -> Root:
        """The next root."""
        return self.proposal.signed

    def to_bytes(self) -> bytes:
        """Return the draft as a file."""
        document = {
            "format": _FORMAT,
            "kind": _KIND,
            "roots": [data.decode() for data in self.roots],
            "next": json.loads(self.proposal.to_bytes()),
        }
        return (json.dumps(document, indent=1) + "\n").encode()


def begin_draft(roots: Sequence[bytes]) -> RootDraft:
    """Return a draft that repeats the newest root of a walked chain; `change_draft` makes it differ."""
    newest = Metadata[Root].from_bytes(roots[-1]).signed
    newest.version += 1
    return RootDraft(roots=tuple(roots), proposal=Metadata(newest))


def read_draft(data: bytes, *, file: str) -> RootDraft:
    """Return a draft that can end and whose chain and signatures hold.

    Raises:
        InputError: Not a draft, or one that could never become a root.
        SignatureError: The chain in it does not hold, or a signature does not fit.
    """
    try:
        draft = _parsed(data)
    except (ValueError, KeyError, TypeError, RecursionError, RepositoryError) as error:
        raise InputError(
            "read the draft",
            file=file,
            found=misread(error),
            expected=f"a draft of a root ({_KIND} format {_FORMAT})",
            hint="was it copied to its end? A newer ferry may have made it: use that one",
        ) from error
    walk_roots(draft.roots, folder=file)
    _require_it_can_end(draft, file=file)
    holding = {keyid for quorum in _quorums(draft) for keyid in quorum.signed}
    if foreign := sorted(set(draft.proposal.signatures) - holding):
        raise SignatureError(
            f"read the draft {file}",
            found=f"a signature by {foreign[0]} that does not hold",
            expected="signatures of root keys, given for exactly this draft",
            hint="it was changed after it was signed, or damaged: take another copy of it",
        )
    return draft


def change_draft(
    draft: RootDraft, change: RootChange, *, new_key: Key | None, now: datetime
) -> RootDraft:
    """Return the draft with a change and without signatures.

    Args:
        draft: What to change.
        change: How.
        new_key: The key that the role gets, if the change adds one.
        now: When the next root counts as issued.

    Raises:
        InputError: The change makes no sense, or would leave a draft that can never end.
    """
    proposal = Metadata[Root].from_bytes(draft.proposal.to_bytes())
    root = proposal.signed
    proposal.signatures.clear()
    if now < issue_time(draft.old):
        raise InputError(
            "draft the next root",
            found=f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC",
            expected=f"a time after {issue_time(draft.old):%Y-%m-%d %H:%M} UTC, when root "
            f"{draft.old.version} was made",
            hint="set the clock",
        )
    root.unrecognized_fields[ISSUED_AT] = as_instant(now)
    if change.expires_at is not None:
        root.expires = change.expires_at.replace(microsecond=0)
    if change.removes is not None:
        root.revoke_key(_chosen(root, change), change.role)
    if new_key is not None:
        root.add_key(new_key, change.role)
    if change.threshold is not None:
        if change.role != ROOT:
            raise InputError(
                f"ask for {change.threshold} signatures of {change.role}",
                found="a threshold for a role that signs media",
                expected="one for the role root; media are signed with one key of each other role",
                hint="leave out --threshold, or name the role root",
            )
        root.roles[ROOT].threshold = change.threshold
    changed = RootDraft(roots=draft.roots, proposal=proposal)
    _require_it_can_end(changed)
    require_not_expired(changed, now=now)
    return changed


def sign_draft(draft: RootDraft, signer: RootSigner, *, file: str) -> RootDraft:
    """Return the draft with one more signature; signing twice changes nothing.

    Raises:
        InputError: The key is a root key neither of the root that is replaced nor of the next.
    """
    keyid = signer.public_key.keyid
    if keyid in draft.proposal.signatures:
        return draft
    allowed = {*draft.old.roles[ROOT].keyids, *draft.new.roles[ROOT].keyids}
    if keyid not in allowed:
        raise InputError(
            "sign the draft",
            file=file,
            found=f"the key {keyid}, no root key",
            expected=f"a root key of root {draft.old.version} or {draft.new.version}: "
            + " or ".join(sorted(allowed)),
            hint="choose another key file: root.pem, or one whose name begins with root-",
        )
    proposal = Metadata[Root].from_bytes(draft.proposal.to_bytes())
    proposal.signatures[keyid] = signer.sign(proposal.signed_bytes)
    return RootDraft(roots=draft.roots, proposal=proposal)


def join_drafts(draft: RootDraft, copy: RootDraft, *, file: str) -> RootDraft:
    """Return the draft with the signatures of a copy of it as well.

    Raises:
        SignatureError: The copy says something else: signatures for it do not fit.
    """
    if copy.proposal.signed_bytes != draft.proposal.signed_bytes:
        raise SignatureError(
            f"join the copy {file}",
            found=f"a draft {_statement(copy)}",
            expected=f"{_statement(draft)}, as the first one given",
            hint="one of them was changed after they parted; find out which one was meant, and have the "
            "others sign that",
        )
    proposal = Metadata[Root].from_bytes(draft.proposal.to_bytes())
    proposal.signatures.update(copy.proposal.signatures)
    return RootDraft(roots=draft.roots, proposal=proposal)


def require_not_expired(draft: RootDraft, *, now: datetime) -> None:
    """Refuse a next root that no site would take any more.

    Raises:
        InputError: It has expired.
    """
    if draft.new.is_expired(now):
        raise InputError(
            "draft the next root",
            found=f"root {draft.new.version} would expire on {draft.new.expires:%Y-%m-%d}",
            expected=f"later than {now:%Y-%m-%d %H:%M} UTC",
            hint="give it more days (`ferry trust renew --days`) and have it signed again",
        )


def root_facts(data: bytes) -> RootFacts:
    """Return what a root says that `walk_roots` has let through."""
    return _facts(Metadata[Root].from_bytes(data).signed, fingerprint(data))


def draft_facts(draft: RootDraft) -> DraftFacts:
    """Return what a draft would change, and who still has to sign it."""
    return DraftFacts(
        first_fingerprint=fingerprint(draft.roots[0]),
        root=_facts(draft.new, _statement(draft)),
        changes=tuple(_changes(draft.old, draft.new)),
        quorums=_quorums(draft),
    )


def _parsed(data: bytes) -> RootDraft:
    document = json.loads(data)
    if (document["kind"], document["format"]) != (_KIND, _FORMAT):
        raise ValueError(f"{document['kind']} format {document['format']}")
    proposal = Metadata[Root].from_bytes(json.dumps(document["next"]).encode())
    if not isinstance(proposal.signed, Root):
        raise ValueError("metadata of another role")  # noqa: TRY004 - input
    # canonical JSON of TUF keeps line ends in texts, such as those of an ECDSA key
    if json.loads(proposal.signed_bytes, strict=False) != document["next"]["signed"]:
        raise ValueError("a root in another spelling than it is signed in")
    roots = tuple(str(text).encode() for text in document["roots"])
    return RootDraft(roots=roots, proposal=proposal)


def _quorums(draft: RootDraft) -> tuple[Quorum, Quorum]:
    """Judge the signatures by python-tuf's own rule.

    Source: TUF specification, client workflow 5.3.4: a threshold of keys of the old root and of the new.
    """
    metadata = draft.proposal
    result = draft.new.get_root_verification_result(
        draft.old, metadata.signed_bytes, metadata.signatures
    )
    return _quorum(draft.old, result.first), _quorum(draft.new, result.second)


def _quorum(root: Root, result: VerificationResult) -> Quorum:
    return Quorum(
        version=root.version,
        missing=result.missing,
        signed=tuple(sorted(result.signed)),
        unsigned=tuple(sorted(result.unsigned)),
    )


def _require_it_can_end(draft: RootDraft, *, file: str | None = None) -> None:
    for found, expected, hint in _problems(draft.old, draft.new):
        raise InputError(
            f"draft root {draft.old.version + 1}",
            file=file,
            found=found,
            expected=expected,
            hint=hint,
        )


def _problems(old: Root, new: Root) -> Iterator[tuple[str, str, str]]:
    """Yield what keeps a draft from ever becoming a root: found, expected, what to do."""
    anew = "it was not made by ferry: begin a new draft from the keys folder"
    if new.version != old.version + 1:
        yield f"version {new.version}", f"version {old.version + 1}", anew
    if _others(new) != _others(old):
        yield "another change than of keys, threshold or times", "none", anew
    for keyid, key in new.keys.items():
        if old.keys.get(keyid) != key and keyid != _computed_id(key):
            yield f"a key that calls itself {keyid}", f"its own id, {_computed_id(key)}", anew
    for name in ROLES:
        role = new.roles[name]
        count = len(new.keys.keys() & set(role.keyids))
        if count < len(role.keyids):
            yield f"a {name} key that is only named", "the public key itself", anew
        elif name != ROOT and role.threshold != 1:
            yield (
                f"{role.threshold} signatures of {name}",
                "one: media are signed with one key of each role but root",
                "give --threshold for the role root only",
            )
        elif not 1 <= role.threshold <= count:
            yield (
                f"{role.threshold} signatures of {name} asked for, and {count} keys",
                "at least as many keys as signatures",
                "add the new key before the old one goes (or `rotate-key`), or lower --threshold",
            )


def _others(root: Root) -> dict[str, object]:
    changeable = {"version", "expires", "keys", "roles", ISSUED_AT}
    return {name: value for name, value in root.to_dict().items() if name not in changeable}


def _computed_id(key: Key) -> str:
    """Return the id that the library gives a key: people compare ids, so they must not be free."""
    fields = {"keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval}
    return hashlib.sha256(str(encode_canonical(fields)).encode()).hexdigest()


def _changes(old: Root, new: Root) -> Iterator[str]:
    for role in ROLES:
        before, after = old.roles[role], new.roles[role]
        yield from (f"{role}: key {keyid} goes" for keyid in _less(before, after))
        yield from (f"{role}: key {keyid} comes" for keyid in _less(after, before))
    before, after = old.roles[ROOT], new.roles[ROOT]
    if (quota := _quota(after)) != _quota(before):
        yield f"root: {quota} keys must sign (before: {_quota(before)})"
    yield f"valid until {new.expires:%Y-%m-%d} (before: {old.expires:%Y-%m-%d})"


def _less(role: Role, other: Role) -> list[str]:
    return sorted(set(role.keyids) - set(other.keyids))


def _quota(role: Role) -> str:
    return f"{role.threshold} of {len(role.keyids)}"


def _facts(root: Root, shown: str) -> RootFacts:
    return RootFacts(
        version=root.version,
        fingerprint=shown,
        issued_at=issue_time(root),
        expires_at=root.expires,
        roles=tuple(
            RoleKeys(
                role=role,
                threshold=root.roles[role].threshold,
                keyids=tuple(root.roles[role].keyids),
            )
            for role in ROLES
        ),
    )


def _statement(draft: RootDraft) -> str:
    return fingerprint(draft.proposal.signed_bytes)


def _chosen(root: Root, change: RootChange) -> str:
    role, beginning = change.role, change.removes or ""
    keyids = root.get_delegated_role(role).keyids
    found = [keyid for keyid in keyids if keyid.startswith(beginning.lower())]
    if not beginning and not change.adds_key:
        found = []  # a key without another in its place goes by its id alone
    if len(found) == 1:
        return found[0]
    raise InputError(
        f"choose the {role} key that goes",
        found=f"{len(found)} of them" + (f" begin with {beginning}" if beginning else ""),
        expected=f"one of {', '.join(keyids)}",
        hint="give the id, or as much of its beginning as no other shares",
    )
