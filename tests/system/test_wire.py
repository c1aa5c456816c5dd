"""Nothing but cmdlets with their parameters goes over the wire, whatever `ferry` does with a cluster."""

import re
import shutil

import pytest

from tests.simcluster.cluster import SimCluster
from tests.simcluster.healthy import make_healthy
from tests.stage import PASSWORD, USER, VERSION, Stage
from tests.system.conftest import base_address
from toolkit.cli import cluster, run

pytestmark = pytest.mark.network

REASON = "set the rule to audit on every node"
QUICKLY = ("--poll-seconds", "0.2", "--wait-minutes", "1")
TALKS = (
    ("cluster", "discover"),
    ("cluster", "check", "medium"),
    ("cluster", "baseline", "--by", "Ben Okri"),
    ("cluster", "request", "-o", "request.json"),
    ("cluster", "import", "medium", *QUICKLY),
    ("run", "prepare", VERSION),
    ("run", "watch", VERSION, "--poll-seconds", "0.2"),
    ("run", "start", VERSION),
    ("run", "watch", VERSION, "--poll-seconds", "0.2"),
    ("run", "show"),
    ("run", "history"),
    ("logs", "collect", "-o", "first.zip"),
    ("logs", "analyse", "first.zip"),
    ("run", "start", VERSION, "--i-have-fixed", REASON),
    ("run", "watch", VERSION, "--poll-seconds", "0.2"),
)
"""What is done with a cluster whose first run fails; every command that talks with nodes is in it."""
THROUGH_WINRM = (
    ("cluster", "import", "medium", "--through-winrm", *QUICKLY),
    ("cluster", "clean"),
)
"""What is done with a cluster that has no file share."""
FAIL = {("run", "watch", VERSION), ("run", "show"), ("logs", "analyse", "first.zip")}
"""Which of them may end with 1."""
FORBIDDEN = {
    "script text": re.compile(r'N="IsScript">true'),
    "a script block": re.compile(r"<SBK\b"),
    "a call of .NET": re.compile(r"\[[\w.]+\]::"),
    "an expression in the text of a command": re.compile(r'N="Cmd">[^<]*[^\w<.\\:-][^<]*</S>'),
    "Invoke-Expression": re.compile(r"Invoke-Expression", re.IGNORECASE),
    "New-Object": re.compile(r"New-Object", re.IGNORECASE),
    "Add-Type": re.compile(r"Add-Type", re.IGNORECASE),
    "Invoke-Command": re.compile(r"Invoke-Command", re.IGNORECASE),
    "a CAU run past the orchestrator": re.compile(r"(Invoke|Start|Stop)-CauRun", re.IGNORECASE),
    "the password": re.compile(re.escape(PASSWORD)),
}
CREATE_PIPELINE = "00021006"


def talk(packed, folder, talks, **options):
    """Do all of it with a cluster in constrained language; return the cluster, and every message it received."""
    for name in ("keys", "manifests", "medium", "site"):
        shutil.copytree(packed / name, folder / "s" / name)
    stage = Stage(folder / "s")
    with SimCluster(
        folder / "sim",
        base=base_address(),
        user=USER,
        password=PASSWORD,
        nodes=2,
        run_seconds=1,
        language_mode="ConstrainedLanguage",
        record_wire=True,
        **options,
    ) as sim:
        make_healthy(sim.world)
        stage.add_cluster(sim.ready)
        blocked = sim.faults.arm("fail-node", node="node2")
        for words in talks:
            if "--i-have-fixed" in words:
                sim.faults.disarm(blocked)
            done = stage.ferry(*words, expect=None)
            assert done.code in ((0, 1) if words[:3] in FAIL else (0,)), (words, done.out, done.err)
    messages = {path.name: path.read_text("utf-8") for path in (folder / "sim" / "wire").iterdir()}
    return sim, messages


@pytest.fixture(scope="module")
def heard(packed, tmp_path_factory):
    """Return both clusters afterwards, and all that went over the wire."""
    first, messages = talk(packed, tmp_path_factory.mktemp("wire"), TALKS)
    second, more = talk(packed, tmp_path_factory.mktemp("winrm"), THROUGH_WINRM, smb="none")
    return (first, second), {**messages, **{f"winrm-{name}": text for name, text in more.items()}}


def test_the_update_is_installed_in_constrained_language(heard):
    (sim, other), _ = heard
    assert [run.update.state for run in sim.world.runs] == ["Installed"] * 3
    assert [run.state for run in sim.world.runs] == ["Succeeded", "Failed", "Succeeded"]
    assert [update.state for update in other.world.updates] == ["Ready"]
    assert other.journal.commands["Add-Content"]


def test_node_saw_no_script(heard):
    clusters, messages = heard
    assert [sim.journal.scripts for sim in clusters] == [0, 0]
    pipelines = [text for name, text in messages.items() if CREATE_PIPELINE in name]
    assert len(pipelines) > 100
    assert all('<S N="Cmd">' in text and 'N="IsScript">false' in text for text in pipelines)


@pytest.mark.parametrize("what", FORBIDDEN)
def test_wire_carries_no(heard, what):
    _, messages = heard
    found = {name: FORBIDDEN[what].search(text) for name, text in messages.items()}
    assert {name: hit[0] for name, hit in found.items() if hit} == {}


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("script text", '<B N="IsScript">true</B>'),
        ("a script block", "<SBK>1 + 1</SBK>"),
        ("a call of .NET", "[System.IO.File]::Exists('x')"),
        ("an expression in the text of a command", '<S N="Cmd">Get-Date | Out-Null</S>'),
        ("Invoke-Expression", '<S N="Cmd">invoke-expression</S>'),
    ],
)
def test_search_finds_what_it_looks_for(what, text):
    assert FORBIDDEN[what].search(text)


def test_every_command_that_talks_with_nodes_is_heard():
    """A new one belongs into `TALKS`, or into `THROUGH_WINRM`."""
    nouns = {"cluster": cluster.group, "run": run.group}
    commands = {(noun, name) for noun, group in nouns.items() for name in group.commands}
    assert {words[:2] for words in TALKS + THROUGH_WINRM if words[0] != "logs"} == commands
