"""`ferry site`: the disconnected place."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.cli import Noun
from toolkit.cli._output import (
    LocalPath,
    cluster_option,
    echo,
    json_option,
    print_json,
    print_table,
    site_option,
)
from toolkit.model import AuthMethod, KnownCluster, Node, Transport
from toolkit.site import Site

_WHY = (
    ("fixed", ""),
    ("hides", ""),
    ("accepted", "accepted: "),
    ("words", ""),
    ("differences", ""),
)
"""Facts of a journal entry that a person reads as its reason, and what is written before each."""


@click.group(cls=Noun, name="site")
def group() -> None:
    """Set up the disconnected place: trusted root, clusters, journal."""


@group.command("init")
@click.argument("directory", type=LocalPath(file_okay=False))
@click.option(
    "--root",
    "root_file",
    required=True,
    type=LocalPath(exists=True, dir_okay=False),
    help="The root.json that `ferry trust init` made; it may come on the medium.",
)
@click.option(
    "--fingerprint",
    required=True,
    help="Its fingerprint, from another channel: printed, spoken, an earlier trip.",
)
def init(directory: Path, root_file: Path, fingerprint: str) -> None:
    """Make DIRECTORY a site that trusts one root, proven by its fingerprint.

    \b
    Example:
      ferry site init C:\\ferry-site --root 1.root.json --fingerprint "3f2a 91c0 …"

    Changes: makes the directory; nothing else. Keep it on the laptop's own disk, not on the medium.
    """
    from toolkit.media import pin_root, read_root_file  # with TUF; help needs none

    root = read_root_file(root_file)
    Site.create(directory, pin=lambda trust_dir: pin_root(trust_dir, root, fingerprint))
    echo(f"site {directory} trusts root {fingerprint}")


@group.command("identity")
@site_option
def identity(site_dir: Path) -> None:
    """Print the recipient for which media are encrypted that only this site can decrypt.

    \b
    Example:
      ferry site identity --site C:\\ferry-site

    Give it to home, for `ferry media write --encrypt-to`. It is no secret, but must not be exchanged on the way:
    read it aloud, or compare it.

    Changes: the first time makes identity.age.key in the site directory, readable by its owner alone. Keep a
    copy in a safe place: without it nobody at this site can decrypt such a medium.
    """
    from toolkit.media import site_recipient  # with TUF; help needs none

    site = Site(site_dir)
    with site.lock():
        echo(site_recipient(site.identity))


@group.command("add-cluster")
@click.argument("name")
@site_option
@click.option(
    "--node",
    "nodes",
    multiple=True,
    required=True,
    metavar="HOST[=ADDRESS]",
    help="One node, and its address where its name does not resolve. Repeat for each node.",
)
@click.option(
    "--transport",
    type=click.Choice([item.value for item in Transport]),
    default=Transport.HTTPS.value,
    show_default=True,
    help="https: port 5986, certificate checked. http: port 5985, messages encrypted (NTLM, Kerberos).",
)
@click.option(
    "--auth",
    type=click.Choice([item.value for item in AuthMethod]),
    default=AuthMethod.NEGOTIATE.value,
    show_default=True,
    help="How to authenticate to the nodes.",
)
@click.option(
    "--ca",
    "ca_file",
    type=LocalPath(exists=True, dir_okay=False),
    help="Certificate authority of the nodes' certificates (PEM), if the system does not know it.",
)
@click.option("--winrm-port", type=click.IntRange(1, 65535), help="Default: 5986 or 5985.")
@click.option(
    "--smb-port",
    type=click.IntRange(1, 65535),
    default=445,
    show_default=True,
    help="Port by which files are copied to the nodes.",
)
def add_cluster(
    name: str,
    site_dir: Path,
    nodes: tuple[str, ...],
    transport: str,
    auth: str,
    ca_file: Path | None,
    winrm_port: int | None,
    smb_port: int,
) -> None:
    """Tell the site about a cluster and how to reach its nodes; no credential is kept.

    \b
    Example:
      ferry site add-cluster plant7 --site C:\\ferry-site --node n1.plant7.lan --node n2.plant7.lan

    Changes: one entry in the site directory. No node is contacted.
    """
    site = Site(site_dir)
    with site.lock():
        known = site.add_cluster(
            KnownCluster(
                name=name,
                nodes=tuple(
                    Node(
                        name=host,
                        address=address or host,
                        transport=Transport(transport),
                        auth=AuthMethod(auth),
                        winrm_port=winrm_port,
                        smb_port=smb_port,
                    )
                    for host, _, address in (text.partition("=") for text in nodes)
                ),
            ),
            ca_file=ca_file,
        )
    echo(f"cluster {known.name}: {', '.join(node.name for node in known.nodes)}")


@group.command("remove-cluster")
@click.argument("name")
@site_option
def remove_cluster(name: str, site_dir: Path) -> None:
    """Forget a cluster; its journal entries stay.

    \b
    Example:
      ferry site remove-cluster plant7 --site C:\\ferry-site

    Changes: one entry in the site directory. No node is contacted.
    """
    site = Site(site_dir)
    with site.lock():
        site.remove_cluster(name)
    echo(f"cluster {name} forgotten")


@group.command("show")
@site_option
@json_option
def show(site_dir: Path, *, json_output: bool) -> None:
    """Show the site's clusters and nodes.

    \b
    Example:
      ferry site show --site C:\\ferry-site

    Changes: nothing.
    """
    clusters = Site(site_dir).clusters()
    if json_output:
        print_json("clusters", clusters)
        return
    print_table(
        ("CLUSTER", "NODE", "ADDRESS", "TRANSPORT", "AUTH"),
        [
            (cluster.name, node.name, node.address, node.transport.value, node.auth.value)
            for cluster in clusters
            for node in cluster.nodes
        ],
    )


@group.command("journal")
@site_option
@cluster_option
@json_option
def journal(site_dir: Path, cluster_name: str, *, json_output: bool) -> None:
    """Print every change made to a cluster from this site, oldest first.

    REASON has what was given in writing, which warnings were accepted, and the words in which something was refused
    or came otherwise than foretold. With --json all of each entry is told.

    \b
    Example:
      ferry site journal --site C:\\ferry-site --cluster plant7

    Changes: nothing.
    """
    site = Site(site_dir)
    entries = list(site.journal.entries(cluster=cluster_name))
    if not entries:
        site.cluster(cluster_name)  # a name nobody knows is a mistake, not an empty journal
    if json_output:
        print_json("journal", entries)
        return
    print_table(
        ("TIME (UTC)", "SUBJECT", "STEP", "OUTCOME", "REASON"),
        [
            (
                f"{entry.at:%Y-%m-%d %H:%M:%S}",
                entry.subject,
                entry.step,
                entry.outcome,
                "; ".join(
                    f"{mark}{entry.facts[name]}" for name, mark in _WHY if entry.facts.get(name)
                ),
            )
            for entry in entries
        ],
    )
