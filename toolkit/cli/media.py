"""`ferry media`: one signed medium, written on the connected side and proven at the site."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli import EXIT_NO, Noun
from toolkit.cli._catalog_options import catalog_option, manifests_option
from toolkit.cli._custody import (
    by_option,
    note_writing,
    receipt_option,
    receipt_scribe,
    receipts_option,
    write_scribe,
)
from toolkit.cli._media_audit import audit
from toolkit.cli._media_custody import COMMANDS
from toolkit.cli._media_erase import erase
from toolkit.cli._media_supplement import COMMANDS as SUPPLEMENT_COMMANDS
from toolkit.cli._media_verify import add_receipts, check_media, conclude, tell_examined
from toolkit.cli._output import (
    FOLDER,
    PASSPHRASE_VARIABLE,
    F,
    LocalPath,
    TerminalProgress,
    echo,
    human_size,
    identity_option,
    json_option,
    print_json,
    print_table,
    read_passphrase,
    understood_by,
    warn,
)
from toolkit.cli._scan import ScanBefore, chosen_scanner, scan_options
from toolkit.media import (  # the rest within commands: help needs no TUF
    FILE_SYSTEMS,
    MEMORY_MB,
    check_set_name,
    parse_size,
)
from toolkit.site import TRUST, Site

if TYPE_CHECKING:
    from toolkit.media import MediumLabel, Part


@click.group(cls=Noun, name="media")
def group() -> None:
    """Write a signed medium, verify it, show what it says of itself and who had it."""


def _check_recipient(text: str) -> None:
    from toolkit.media import read_recipients

    read_recipients([text])


def _spread_options(command: F) -> F:
    """Take what the set shall carry, and the media to spread it over."""
    for option in (
        manifests_option,
        click.option(
            "--fs",
            "file_system",
            type=click.Choice(FILE_SYSTEMS),
            help="File system of the media: FAT32 holds no file of 4 GiB. Default: as found when it is written.",
        ),
        click.option(
            "--size",
            "sizes",
            multiple=True,
            callback=understood_by(parse_size),
            help="Size of each medium of the set, such as 32GB; repeat it for each.",
        ),
        click.option(
            "--parity",
            "parity_percent",
            type=click.IntRange(0, 100),
            help="Per cent of parity to repair damaged blocks with; 0: none. Default: 5, where the program par2 is installed.",
        ),
        click.option(
            "--encrypt-to",
            "recipients",
            multiple=True,
            metavar="RECIPIENT",
            callback=understood_by(_check_recipient),
            help="Encrypt the payloads for this age recipient (age1…), as `ferry site identity` prints it; repeat it for each.",
        ),
        catalog_option,
    ):
        command = option(command)
    return command


def _trust_options(command: F) -> F:
    """Take whom to believe: a site, or a root that is named for this once."""
    for option in (
        click.option(
            "--fingerprint", help="Without a site: that root's fingerprint, from another channel."
        ),
        click.option(
            "--root",
            "root_file",
            type=LocalPath(exists=True, dir_okay=False),
            help="Without a site: the root.json to trust. Rollback is not checked then.",
        ),
        click.option(
            "--site",
            "site_dir",
            type=LocalPath(file_okay=False),
            envvar="FERRY_SITE",
            help="The site directory made by `ferry site init` (or set FERRY_SITE).",
        ),
    ):
        command = option(command)
    return command


@group.command("plan")
@click.argument("plan_file", metavar="PLAN", type=LocalPath(exists=True, dir_okay=False))
@_spread_options
@json_option
def plan_(
    plan_file: Path,
    catalog_dir: Path,
    parity_percent: int | None,
    sizes: tuple[str, ...],
    file_system: str | None,
    manifest_dirs: tuple[Path, ...],
    recipients: tuple[str, ...],
    *,
    json_output: bool,
) -> None:
    """Show what goes onto which medium of a set, before a byte is written.

    \b
    Example:
      ferry media plan plan.json --catalog D:\\catalog --size 32GB --size 16GB --fs fat32

    A payload stays whole, under the vendor's name, wherever it fits; else it is cut into segments. An archive
    that was never looked into is read once, as for writing.

    Changes: nothing but what the catalog remembers of an archive it looked into.
    """
    from toolkit.catalog import Catalog, load_manifests  # half of the time to start
    from toolkit.media import choose_parity, plan_media, read_media

    progress = TerminalProgress(quiet=json_output)
    parity = choose_parity(parity_percent, memory_mb=MEMORY_MB, progress=progress)
    media = read_media(sizes, file_system, parity_percent=parity.percent if parity else 0)
    payloads = Catalog(catalog_dir).for_medium(
        plan=plan_file, manifests=load_manifests(manifest_dirs), progress=progress
    )
    layout = plan_media(payloads, media, recipients=recipients)
    if json_output:
        print_json("media-plan", [_part_row(part) for part in layout.parts])
        return
    print_table(
        ("MEDIUM", "SIZE", "FILE", "OF"),
        [
            (part.medium, human_size(part.size_bytes), part.path, part.held.name)
            for part in sorted(layout.parts, key=lambda part: part.medium)
        ],
    )


@group.command("write")
@click.argument("versions", nargs=-1, metavar="[VERSION...]")
@click.option(
    "--plan",
    "plan_file",
    type=LocalPath(exists=True, dir_okay=False),
    help="Write what this plan carries, made by `ferry catalog plan`, instead of naming versions.",
)
@_spread_options
@click.option(
    "--keys",
    "keys_dir",
    required=True,
    type=FOLDER,
    help="The keys folder made by `ferry trust init`.",
)
@click.option(
    "--to",
    "root",
    required=True,
    type=LocalPath(file_okay=False),
    help="Root of the mounted medium, or a folder; it must be there already.",
)
@click.option(
    "--valid-days",
    type=click.IntRange(1, 3660),
    default=180,
    show_default=True,
    help="Sites refuse the medium afterwards.",
)
@click.option(
    "--medium",
    "number",
    type=click.IntRange(min=1),
    help="Which medium of the set; by default the one begun here, else the next.",
)
@click.option(
    "--parity-memory",
    type=click.IntRange(min=16),
    default=MEMORY_MB,
    show_default=True,
    help="MB of memory that making parity may take.",
)
@click.option(
    "--name",
    "set_name",
    callback=understood_by(check_set_name),
    help="Name of the set folder (A-Z, 0-9, -; 13 at most).",
)
@by_option("Who writes it; the name stands in the first receipt.")
@scan_options(
    "--hook-before-write",
    "A scanner, run with the path of each payload of this medium before the first is written; exit code 0: clean, 1: refuse it.",
)
@json_option
def write(
    versions: tuple[str, ...],
    plan_file: Path | None,
    catalog_dir: Path,
    keys_dir: Path,
    root: Path,
    valid_days: int,
    parity_percent: int | None,
    parity_memory: int,
    sizes: tuple[str, ...],
    file_system: str | None,
    number: int | None,
    manifest_dirs: tuple[Path, ...],
    recipients: tuple[str, ...],
    set_name: str | None,
    by: str,
    hook: Path | None,
    hook_minutes: int,
    *,
    json_output: bool,
) -> None:
    """Write one medium of a signed set of updates and read it back; the same command resumes.

    \b
    Example:
      ferry media write --plan plan.json --catalog D:\\catalog --keys C:\\ferry-keys --to E:\\
      ferry media write 12.2603.1002.15 --catalog D:\\catalog --keys C:\\ferry-keys --to E:\\

    What one stick cannot hold, over several; plug in the next one and run the same command again:
      ferry media write --plan plan.json --size 32GB --size 16GB --catalog D:\\catalog --keys C:\\ferry-keys --to E:\\

    So that only the site can read the payloads:
      ferry media write --plan plan.json --encrypt-to age1… --catalog D:\\catalog --keys C:\\ferry-keys --to E:\\

    Only what is proven, or was accepted by name, is written; each archive is looked into once before. With a
    plan, an SBE that would hide a cluster's updates is refused. What a scanner says no to ends it with 3, a
    scanner without a verdict with 7; its verdict stands in the first receipt. A medium that is complete already is
    read whole, as `media verify` does: 3 or 6 if it is not what was written. One whose complete.json is missing,
    unreadable or another set's is finished as it was signed, or refused with 6.

    Changes: adds one set folder to the medium; nothing else on it is touched. The first receipt in its
    custody/ is signed with the catalog's key, made by the first. The catalog remembers the set (sets/), the key of
    an encrypted one, and what was looked into. The passphrase comes from FERRY_KEY_PASSPHRASE or a prompt.
    """
    from toolkit.catalog import Catalog, load_manifests  # half of the time to start
    from toolkit.media import (
        SETS,
        choose_parity,
        foresee,
        open_keys,
        read_media,
        write_medium,
    )

    if bool(versions) == (plan_file is not None):
        raise click.UsageError("name versions, or give --plan FILE, one of them")
    progress = TerminalProgress(quiet=json_output)
    parity = choose_parity(parity_percent, memory_mb=parity_memory, progress=progress)
    before = ScanBefore(chosen_scanner(hook, hook_minutes), progress)
    # first the keys: looking into archives may take an hour
    keys = open_keys(keys_dir, read_passphrase(PASSPHRASE_VARIABLE, "Passphrase for the keys"))
    catalog = Catalog(catalog_dir)
    warn(*foresee(catalog_dir))
    payloads = catalog.for_medium(
        versions,
        plan=plan_file,
        manifests=load_manifests(manifest_dirs),
        progress=progress,
    )
    scribe = write_scribe(catalog, by)  # last: it may leave a key, and this folder be no catalog
    medium = write_medium(
        root,
        payloads,
        keys=keys,
        expires_at=datetime.now(UTC) + timedelta(days=valid_days),
        set_name=set_name,
        media=read_media(sizes, file_system, parity_percent=parity.percent if parity else 0),
        number=number,
        book=catalog_dir / SETS,
        parity=parity,
        custody_key=scribe.key.public_hex if scribe is not None else "",
        before_write=before,
        recipients=recipients,
        progress=progress,
    )
    _print_label(medium.describe(), json_output=json_output)
    if scribe is not None:
        note_writing(catalog, medium, scribe, plan=plan_file, scan=before.scan)


@group.command("verify")
@click.argument("media", nargs=-1, required=True, metavar="MEDIUM...", type=FOLDER)
@_trust_options
@click.option(
    "--strict",
    is_flag=True,
    help='Let litter (of an operating system, or a half file among receipts) be a "no" as well.',
)
@receipt_option
@by_option("Who verifies it and answers for the receipt.")
@click.option(
    "--catalog",
    "catalog_dir",
    type=FOLDER,
    help="At home: the catalog whose key signs the receipt.",
)
@receipts_option
@scan_options(
    "--hook-after-verify",
    "A scanner, run with the path of the medium's folder data/ once all is proven; exit code 0: clean, 1: refuse it.",
)
@json_option
def verify(
    media: tuple[Path, ...],
    site_dir: Path | None,
    root_file: Path | None,
    fingerprint: str | None,
    by: str,
    catalog_dir: Path | None,
    receipts_dir: Path | None,
    hook: Path | None,
    hook_minutes: int,
    *,
    strict: bool,
    is_wanted: bool,
    json_output: bool,
) -> int:
    """Prove who published media and every byte on them, reading past the page cache.

    \b
    Example:
      ferry media verify E:\\ --site C:\\ferry-site
      ferry media verify E:\\ --root 1.root.json --fingerprint "3f2a 91c0 …"
      ferry media verify E:\\ --site C:\\ferry-site --receipt --by "Ben Okri"
      ferry media verify E:\\ F:\\ G:\\ --site C:\\ferry-site

    Of several media each device is read at the same time; at the end stands whether their set is whole. A payload
    that is bad on one and proven on a copy or supplement counts as proven: an import takes it from there.

    Changes: nothing on a medium, but for one receipt in its custody/ with --receipt. The site remembers a
    complete medium as the newest it has seen; an older one is accepted with a warning while the newest lists
    everything on it.

    Exit codes, of several media the gravest: 0 proven, or made good by another one; 1 proven, but files lie there that do not belong;
    3 not the signed bytes, expired, rolled back, not signed under the trusted root, or the scanner said no;
    6 incomplete or unreadable; 7 the scanner gave no verdict.
    """
    from toolkit.media import examine_media

    scanner = chosen_scanner(hook, hook_minutes)
    check_media(media, receipts_dir)
    scribe = receipt_scribe(
        site_dir, catalog_dir, by, is_wanted=is_wanted, receipts_dir=receipts_dir
    )
    with _trust(site_dir, root_file, fingerprint) as trust_dir:
        found = examine_media(
            media, trust_dir, scanner=scanner, progress=TerminalProgress(quiet=json_output)
        )
    tell_examined(found, strict=strict, json_output=json_output)
    if scribe is not None:
        add_receipts(found, scribe, receipts_dir)
    return conclude(found, strict=strict)


@group.command("repair")
@click.argument("medium", type=FOLDER)
@click.option(
    "--scratch",
    required=True,
    type=LocalPath(file_okay=False),
    help="A folder on a local disk, with room for the damaged files and the largest of them once more.",
)
@_trust_options
@click.option(
    "--parity-memory",
    type=click.IntRange(min=16),
    default=MEMORY_MB,
    show_default=True,
    help="MB of memory that repairing may take.",
)
@json_option
def repair(
    medium: Path,
    scratch: Path,
    site_dir: Path | None,
    root_file: Path | None,
    fingerprint: str | None,
    parity_memory: int,
    *,
    json_output: bool,
) -> int:
    """Make damaged files of a medium good with its parity, in a scratch folder that `import` takes, too.

    \b
    Example:
      ferry media repair E:\\ --scratch D:\\scratch --site C:\\ferry-site
      ferry cluster import E:\\ D:\\scratch --cluster plant7 --site C:\\ferry-site

    Repaired bytes count only if they have the signed hash. What is missing altogether parity cannot make: ask
    home for it (`ferry media request`). Where complete.json is missing or bad and all else is proven, an import from
    both goes on without it. What parity must make needs the program par2.

    Changes: nothing on the medium; files in the scratch folder. Exit 1: files are missing altogether.
    """
    from toolkit.media import open_medium, repair_medium

    progress = TerminalProgress(quiet=json_output)
    with _trust(site_dir, root_file, fingerprint) as trust_dir:
        opened = open_medium(medium, trust_dir, accept_incomplete=True)
        done = repair_medium(opened, scratch, memory_mb=parity_memory, progress=progress)
    if json_output:
        print_json("repair", done)
    elif done.folder is not None:
        echo(f"{opened.label}: {len(done.repaired)} repaired in {done.folder}")
    elif not (done.missing or done.hopeless):
        echo(f"{opened.label}: nothing is damaged")
    if done.missing:
        echo(
            f"{opened.label}: missing, and parity cannot make it: {', '.join(done.missing)}\n"
            "  next: ask home for it, naming the medium and the scratch folder if there is one: ferry media request",
            err=True,
        )
    if problem := done.problem():
        raise problem
    return EXIT_NO if done.missing else 0


@group.command("extract")
@click.argument("media", nargs=-1, required=True, metavar="MEDIUM...", type=FOLDER)
@click.option(
    "--to",
    "folder",
    required=True,
    type=LocalPath(file_okay=False),
    help="A folder on a local disk, with room for all payloads.",
)
@identity_option
@_trust_options
@json_option
def extract(
    media: tuple[Path, ...],
    folder: Path,
    identity: Path | None,
    site_dir: Path | None,
    root_file: Path | None,
    fingerprint: str | None,
    *,
    json_output: bool,
) -> None:
    """Write the vendor's files from MEDIUM into a folder: decrypted, put together, every byte proven.

    \b
    Example:
      ferry media extract E:\\ --to D:\\payloads --site C:\\ferry-site

    `cluster import` needs no such copy. Of a set that is spread over several media, name all; a supplement, too.

    Changes: nothing on the media; files in the folder. The same command goes on where it was interrupted.
    """
    from toolkit.media import extract_payloads, open_medium

    progress = TerminalProgress(quiet=json_output)
    with _trust(site_dir, root_file, fingerprint) as trust_dir:
        opened = open_medium(media[0], trust_dir, others=media[1:], progress=progress)
        if identity is None and site_dir is not None:
            identity = Site(site_dir).identity
        if identity is not None:
            opened.unlock(identity)
        files = extract_payloads(opened, folder, progress=progress)
    if json_output:
        print_json("extracted-payloads", [str(path) for path in files])
        return
    for path in files:
        echo(str(path))


@group.command("show")
@click.argument("medium", type=FOLDER)
@json_option
def show(medium: Path, *, json_output: bool) -> None:
    """Show what a medium says of itself; not verified.

    \b
    Example:
      ferry media show E:\\

    Changes: nothing. Nobody has proven what is shown: use `ferry media verify` for that.
    """
    from toolkit.media import describe_medium

    _print_label(describe_medium(medium), json_output=json_output)


@contextlib.contextmanager
def _trust(
    site_dir: Path | None, root_file: Path | None, fingerprint: str | None
) -> Iterator[Path]:
    from toolkit.media import pin_root, read_root_file

    if root_file is not None and fingerprint is not None:
        with tempfile.TemporaryDirectory(prefix="ferry-root-") as borrowed:
            pin_root(Path(borrowed), read_root_file(root_file), fingerprint)
            yield Path(borrowed)
    elif root_file is None and fingerprint is None and site_dir is not None:
        yield site_dir / TRUST
    else:
        raise click.UsageError("give --site DIR, or --root FILE together with --fingerprint")


def _print_label(label: MediumLabel, *, json_output: bool) -> None:
    if json_output:
        print_json("medium-label", label)
        return
    state = "complete" if label.is_complete else "NOT COMPLETE"
    proof = "verified" if label.is_verified else "NOT VERIFIED: nobody has proven what stands here"
    echo(f"{label.label}  {state}, valid until {label.expires_at:%Y-%m-%d}  ({proof})")
    echo(f"{label.folder}")
    if label.recipients:
        echo(f"encrypted for {', '.join(label.recipients)}")
    print_table(
        ("PAYLOAD", "SIZE", "SHA-256"),
        [(name, human_size(size), digest) for name, size, digest in label.payloads],
    )


def _part_row(part: Part) -> dict[str, object]:
    return {
        "medium": part.medium,
        "path": part.path,
        "payload": part.held.name,
        "offset": part.offset,
        "size_bytes": part.size_bytes,
        "is_whole": part.is_whole,
    }


for _command in (audit, erase, *SUPPLEMENT_COMMANDS, *COMMANDS):
    group.add_command(_command)
