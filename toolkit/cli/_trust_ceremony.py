"""`ferry trust rotate-key`, `add-key`, `remove-key`, `renew`, `sign`, `show`: trust over years."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from toolkit.cli import EXIT_NO
from toolkit.cli._output import (
    DRAFT_FILE,
    FOLDER,
    PASSPHRASE_VARIABLE,
    LocalPath,
    echo,
    json_option,
    print_json,
    print_table,
    read_passphrase,
)
from toolkit.media import (
    ROLES,
    ROOT_VALID_DAYS,
    Ceremony,
    DraftFacts,
    RootChange,
    RootFacts,
    Token,
    describe_draft,
    describe_root,
)

_ROOT = "root"
_ROLE = click.Choice(ROLES)


_fingerprint_option = click.option(
    "--fingerprint",
    "first_fingerprint",
    help="Of the first root, from another channel; asked for where the keys folder has no root yet.",
)
_token_option = click.option(
    "--token",
    metavar="hsm:ID?label=LABEL",
    help="Use this key on a hardware token (PKCS#11); its PIN comes from FERRY_TOKEN_PIN or a prompt.",
)
_REVISING = (
    click.option(
        "--keys",
        "keys_dir",
        required=True,
        type=LocalPath(file_okay=False),
        help="The keys folder: its root is replaced, and a new key goes there.",
    ),
    click.option(
        "--draft",
        "draft_file",
        type=DRAFT_FILE,
        help="The draft to change, or to begin.  [default: N.root.draft.json in the keys folder]",
    ),
    _fingerprint_option,
    click.option(
        "--threshold",
        type=click.IntRange(min=1),
        help="How many root keys must sign; of the role root only.",
    ),
    click.option(
        "--days",
        type=click.IntRange(1, 36600),
        help=f"How long the next root is valid.  [default: {ROOT_VALID_DAYS} when a draft is begun]",
    ),
)


def _revising(change_of: Callable[..., RootChange]) -> Callable[..., None]:
    """Turn a function from its own arguments to a change into a command that makes it in a draft."""

    @functools.wraps(change_of)
    def command(
        keys_dir: Path,
        draft_file: Path | None,
        first_fingerprint: str | None,
        threshold: int | None,
        days: int | None,
        token: str | None = None,
        **own: str,
    ) -> None:
        expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
        change = replace(change_of(**own), threshold=threshold, expires_at=expires_at)
        ceremony = Ceremony(keys_dir, draft_file, first_fingerprint=first_fingerprint)
        done = "changed" if ceremony.draft_file.exists() else "begun"
        _require_keys(change, ceremony.facts)
        had_signatures = any(quorum.signed for quorum in ceremony.facts.quorums)
        passphrase = ""
        if change.adds_key and token is None:
            prompt = f"Passphrase for the new {change.role} key"
            passphrase = read_passphrase(PASSPHRASE_VARIABLE, prompt, confirm=True)
        on_token = None if token is None else _token(token)
        if made := ceremony.revise(change, passphrase, token=on_token):
            echo(f"key made: {made}", err=True)
        for unused in ceremony.unused:
            echo(
                f"neither a root nor this draft names the key {unused}, which was dropped, or left by "
                "a run that was broken off: delete that file, unless another draft names it",
                err=True,
            )
        echo(f"draft {done}: {ceremony.draft_file}", err=True)
        if had_signatures:
            echo("the signatures given so far are gone, they were for another text", err=True)
        _print_draft(ceremony.facts)
        echo(_still_needed(ceremony.facts))
        echo(f"next: ferry trust sign {ceremony.draft_file} --key FILE, by each of them", err=True)

    for option in reversed(_REVISING):
        command = option(command)
    return command


def _require_keys(change: RootChange, facts: DraftFacts) -> None:
    """Refuse to ask for more signatures than the next root has keys."""
    (keyids,) = (role.keyids for role in facts.root.roles if role.role == _ROOT)
    count = len(keyids) + change.adds_key - (change.removes is not None)
    if change.role == _ROOT and (change.threshold or 0) > count:
        raise click.BadParameter(
            f"{change.threshold} signatures of root asked for, and {count} keys (expected: at least as many "
            "keys as signatures); add the new key before the old one goes (or `rotate-key`), or lower --threshold",
            param_hint="--threshold",
        )


@click.command("rotate-key")
@click.argument("role", type=_ROLE)
@click.option("--old", default="", help="The id of the key that goes, where the role has several.")
@_token_option
@_revising
def rotate_key(role: str, old: str) -> RootChange:
    """Make a new key for a role and draft the next root, in which it replaces the old one.

    \b
    Example:
      ferry trust rotate-key timestamp --keys C:\\ferry-keys

    Changes: adds ROLE-<id>.pem to the keys folder and writes the draft; signatures on it are gone. Until the
    draft is signed and in force, media are signed with the old key. The passphrase of the new key comes from
    FERRY_KEY_PASSPHRASE or a prompt.
    """
    return RootChange(role=role, adds_key=True, removes=old)


@click.command("add-key")
@click.argument("role", type=_ROLE)
@_token_option
@_revising
def add_key(role: str) -> RootChange:
    """Make one more key for a role, on the machine of whoever will hold it, and draft the next root.

    \b
    Example:
      ferry trust add-key root --threshold 2 --keys C:\\my-key --draft E:\\2.root.draft.json --fingerprint "3f2a …"

    Changes: adds ROLE-<id>.pem to the keys folder and writes the draft; signatures on it are gone. A folder
    without a root gets the chain of roots from the draft. The passphrase of the new key comes from
    FERRY_KEY_PASSPHRASE or a prompt.
    """
    return RootChange(role=role, adds_key=True)


@click.command("remove-key")
@click.argument("role", type=_ROLE)
@click.argument("keyid")
@_revising
def remove_key(role: str, keyid: str) -> RootChange:
    """Draft the next root without one key; KEYID is its id or the beginning of it.

    \b
    Example:
      ferry trust remove-key root 3f2a91c0 --keys C:\\ferry-keys

    Changes: writes the draft; signatures on it are gone. No key file is deleted.
    """
    return RootChange(role=role, removes=keyid)


@click.command("renew")
@_revising
def renew() -> RootChange:
    """Draft the next root with the same keys, so that it is valid longer or asks for more signatures.

    \b
    Example:
      ferry trust renew --days 730 --keys C:\\ferry-keys

    Changes: writes the draft; signatures on it are gone. A root that has expired can be renewed as well.
    """
    return RootChange()


@click.command("sign")
@click.argument(
    "drafts",
    nargs=-1,
    required=True,
    metavar="DRAFT [COPY]...",
    type=LocalPath(exists=True, dir_okay=False),
)
@click.option(
    "--key",
    "key_file",
    type=LocalPath(exists=True, dir_okay=False),
    help="The root key to sign with: root.pem, or root-<id>.pem.",
)
@click.option(
    "--keys",
    "keys_dir",
    type=LocalPath(file_okay=False),
    help="The keys folder that judges the draft and gets the new root.  [default: the key's folder]",
)
@_token_option
@_fingerprint_option
def sign(
    drafts: tuple[Path, ...],
    key_file: Path | None,
    token: str | None,
    keys_dir: Path | None,
    first_fingerprint: str | None,
) -> int:
    """Sign a draft with a root key, join copies signed elsewhere, and put it into force once enough have signed.

    \b
    Example:
      ferry trust sign E:\\2.root.draft.json --key C:\\my-key\\root-3f2a91c0.pem
      ferry trust sign E:\\2.root.draft.json --token hsm:2?label=anna --keys C:\\my-key
      ferry trust sign 2.root.draft.json from-anna.json from-ben.json --keys C:\\ferry-keys

    Read what the draft changes before you give the passphrase. Root keys of the root that is replaced and of
    the next one must sign, each as many as its threshold says.

    Changes: adds signatures to DRAFT; copies stay as they are. When enough have signed, writes N.root.json
    to the keys folder: media are signed under it from then on. Of a draft that is in force already, nothing. The
    passphrase comes from FERRY_KEY_PASSPHRASE or a prompt.

    Exit codes: 0 in force; 1 signed, and others still have to sign; 3 another publisher's draft, or one
    that was changed after it was signed.
    """
    folder = keys_dir or (key_file.parent if key_file else None)
    if folder is None or (key_file and token):
        raise click.UsageError(
            "give --key FILE to sign, or --token with --keys DIR, or --keys DIR to join and finish"
        )
    ceremony = Ceremony(folder, drafts[0], first_fingerprint=first_fingerprint)
    ceremony.join(drafts[1:])
    _print_draft(ceremony.facts, err=True)
    # in force already: the same command again, or a signature that nobody needs any more
    if not ceremony.is_in_force:
        if token is not None:
            echo(f"signed by {ceremony.sign(_token(token))}", err=True)
        elif key_file is not None:
            passphrase = read_passphrase(PASSPHRASE_VARIABLE, f"Passphrase for {key_file.name}")
            echo(f"signed by {ceremony.sign(key_file, passphrase)}", err=True)
    in_force = ceremony.finish()
    if in_force is None:
        echo(_still_needed(ceremony.facts))
        return EXIT_NO
    echo(f"root {ceremony.facts.root.version} is in force: {in_force}")
    return 0


@click.command("show")
@click.argument(
    "draft_file",
    required=False,
    metavar="[DRAFT]",
    type=LocalPath(exists=True, dir_okay=False),
)
@click.option(
    "--keys",
    "keys_dir",
    type=FOLDER,
    help="Show the newest root of this keys folder instead.",
)
@json_option
def show(draft_file: Path | None, keys_dir: Path | None, *, json_output: bool) -> None:
    """Show roles, key ids, thresholds and expiry of a root; of a draft also its changes and who must sign.

    \b
    Example:
      ferry trust show --keys C:\\ferry-keys
      ferry trust show E:\\2.root.draft.json

    Changes: nothing. A draft names the first root it goes on from: compare that fingerprint with yours.
    """
    if (draft_file is None) == (keys_dir is None):
        raise click.UsageError("give a DRAFT or --keys DIR, one of them")
    if draft_file is not None:
        draft = describe_draft(draft_file)
        if json_output:
            print_json("root-draft", draft)
        else:
            _print_draft(draft)
            echo(_still_needed(draft))
        return
    root = describe_root(keys_dir or Path())
    if json_output:
        print_json("trusted-root", root)
        return
    echo(f"root {root.version}, valid until {root.expires_at:%Y-%m-%d}")
    echo(f"fingerprint {root.fingerprint}")
    _print_roles(root)


COMMANDS = (rotate_key, add_key, remove_key, renew, sign, show)


def _token(address: str) -> Token:
    return Token(address=address, pin=read_passphrase("FERRY_TOKEN_PIN", "PIN of the token"))


def _print_draft(draft: DraftFacts, *, err: bool = False) -> None:
    root = draft.root
    echo(f"draft of root {root.version}: {root.fingerprint}", err=err)
    echo(f"goes on from the first root: {draft.first_fingerprint}", err=err)
    for change in draft.changes:
        echo(f"  {change}", err=err)


def _print_roles(root: RootFacts) -> None:
    print_table(
        ("ROLE", "MUST SIGN", "KEY"),
        [
            (role.role, f"{role.threshold} of {len(role.keyids)}", keyid)
            for role in root.roles
            for keyid in role.keyids
        ],
    )


def _still_needed(draft: DraftFacts) -> str:
    asked: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    for quorum in draft.quorums:
        if quorum.missing:
            asked.setdefault((quorum.missing, quorum.unsigned), []).append(str(quorum.version))
    lines = [
        f"still to sign for root {' and root '.join(versions)}: {missing} of {', '.join(keyids)}"
        for (missing, keyids), versions in asked.items()
    ]
    return "\n".join(lines) or "enough have signed: `ferry trust sign` puts it into force"
