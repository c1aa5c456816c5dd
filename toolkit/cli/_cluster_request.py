"""`ferry cluster request`: what a site asks for, on a file or on paper."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.cli._output import (
    OUTPUT_FILE,
    LocalPath,
    check_apart,
    echo,
    json_option,
    print_json,
    site_option,
)
from toolkit.cli._reach import open_cluster, user_option
from toolkit.cluster import SignedRequest, sign_request
from toolkit.filesystem import on_storage, read_regular
from toolkit.request import ANSWERS, read_answers
from toolkit.site import Site


def _print_template(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        echo(ANSWERS.rstrip())
        ctx.exit()


@click.command("request")
@click.option(
    "--cluster",
    "cluster_name",
    envvar="FERRY_CLUSTER",
    help="The cluster to ask, as added by `ferry site add-cluster` (or set FERRY_CLUSTER).",
)
@site_option
@user_option
@click.option(
    "-o",
    "--output",
    required=True,
    type=OUTPUT_FILE,
    help="The request to write (JSON); an earlier request of that name is replaced.",
)
@click.option(
    "--print",
    "page",
    type=OUTPUT_FILE,
    help="Also write a page to print: HTML, one sheet, with the request in a QR code.",
)
@click.option(
    "--from-file",
    "answers",
    type=LocalPath(exists=True, dir_okay=False),
    help="Answers typed in by hand, where nothing may be run: no cluster is contacted.",
)
@click.option(
    "--template",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_template,
    help="Print the form for --from-file, and do nothing else.",
)
@json_option
def request(
    cluster_name: str | None,
    site_dir: Path,
    username: str | None,
    output: Path,
    page: Path | None,
    answers: Path | None,
    *,
    json_output: bool,
) -> None:
    """Ask a cluster what it is and needs, and write that as one signed file to carry home.

    A node that does not answer and a command that fails are named in the request, not a failed request.

    \b
    Example:
      ferry cluster request --cluster plant7 --site C:\\ferry-site --user lcmuser -o request.json --print request.html

    \b
    Where nothing may be run on the cluster:
      ferry cluster request --template > answers.yaml
      ferry cluster request --from-file answers.yaml --site C:\\ferry-site -o request.json

    Changes: nothing on the cluster (asking makes it look for updates by itself). At the site: the files
    named, and once a key to sign with.
    """
    check_apart(output, page, options="--output and --print")
    if answers is not None:
        site = Site(site_dir)
        asked = read_answers(
            _read(answers), site_id=site.site_id(), cluster=cluster_name, file=str(answers)
        )
    elif cluster_name is not None:
        site, cluster = open_cluster(site_dir, cluster_name, username, quiet=json_output)
        asked = cluster.survey(site_id=site.site_id())
    else:
        raise click.UsageError("Missing option '--cluster', or '--from-file' with typed answers.")
    signed = sign_request(asked, site)
    signed.write(output)
    if page is not None:
        signed.write_page(page)
    if json_output:
        print_json(
            "request",
            {
                "file": output,
                "page": page,
                "fingerprint": signed.fingerprint,
                "request": signed.request,
            },
        )
    else:
        _print(signed, output, page)


def _print(signed: SignedRequest, output: Path, page: Path | None) -> None:
    asked = signed.request
    echo(
        f"{output}: request of cluster {asked.cluster}, version {asked.solution_version or 'unknown'}, "
        f"SBE {asked.sbe_version or 'unknown'}, {len(asked.updates)} update(s) listed"
    )
    for what, why in asked.unknown:
        echo(f"  not found out: {what}: {why}")
    if page is not None:
        echo(f"{page}: the same on paper")
    echo(f"fingerprint of this site's key: {signed.fingerprint}")
    echo("  next: carry it home, and read the fingerprint out on the phone when home asks for it")


def _read(path: Path) -> bytes:
    with on_storage(f"read {path}"):
        return read_regular(path)
