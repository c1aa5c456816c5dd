"""A request for the next trip: measured on the simulated cluster, typed in, read back, on paper."""

import json

import pytest

from tests import paper
from tests.simcluster.state import SolutionUpdate
from tests.stage import SBE_VERSION, VERSION, Stage
from tests.system.conftest import content, last_line
from toolkit.errors import SignatureError
from toolkit.request import Origin, read_request
from toolkit.signed import fingerprint_of

READ_ONLY = {
    "Get-ClusterNode",
    "Get-ClusterSharedVolume",
    "Get-ItemProperty",
    "Get-SolutionDiscoveryDiagnosticInfo",
    "Get-SolutionUpdate",
    "Get-SolutionUpdateEnvironment",
    "Get-Variable",
    "Get-Volume",
    "Resolve-DnsName",
    "Select-Object",
    "Test-NetConnection",
}


@pytest.fixture
def placed(stage) -> Stage:
    """A site that has seen no medium yet."""
    fingerprint = last_line(stage.ferry("trust", "fingerprint", "--keys", "keys").out)
    root = str(stage / "keys" / "1.root.json")
    stage.ferry("site", "init", "site", "--root", root, "--fingerprint", fingerprint)
    return stage


def ask(stage: Stage, *more: str, expect: int | None = 0, **extra: str):
    return stage.ferry("cluster", "request", "-o", "request.json", *more, expect=expect, **extra)


def asked(stage: Stage):
    data = (stage / "request.json").read_bytes()
    return read_request(data, file="request.json")[0]


def offer(cluster) -> None:
    """Let the cluster list an update."""
    cluster.world.updates.append(
        SolutionUpdate(
            resource_id=f"redmond/Solution{VERSION}",
            version=VERSION,
            display_name="2026.03 Cumulative Update",
            state="HasPrerequisite",
            min_version_required="12.2510.1002.0",
            min_sbe_version_required="2.0.0.0",
        )
    )


# --- measured -----------------------------------------------------------------------------------


def test_request_tells_what_the_cluster_is_and_needs(placed, simulate):
    cluster = simulate(placed, required_sbe_version=SBE_VERSION, healthy=False)
    offer(cluster)
    out = ask(placed).out
    request = asked(placed)
    assert (request.cluster, request.origin, request.node_count) == ("plant7", Origin.MEASURED, 4)
    assert request.solution_version == "12.2602.1002.501"
    assert dict(request.package_versions)["SBE"] == "4.2.2512.1616"
    assert (request.sbe_family, request.sbe_state) == ("GenA", "installed")
    assert request.hardware.model == "Contoso680"
    assert (request.hardware.manufacturer, request.hardware.sku) == ("Contoso", "0A6B")
    (update,) = request.updates
    assert (update.version, update.state) == (VERSION, "AdditionalContentRequired")
    assert (update.sbe_version, update.sbe_family) == (SBE_VERSION, "GenA")
    assert update.sbe_publisher == request.sbe_publisher == "Contoso"
    assert update.min_version_required == "12.2510.1002.0"
    assert [(v.node, v.volume) for v in request.volumes] == [
        ("", r"C:\ClusterStorage\Infrastructure_1"),
        ("", r"C:\ClusterStorage\UserStorage_1"),
        *((f"node{number}", "C:") for number in range(1, 5)),
    ]
    assert request.volumes[0].free_bytes == 187 << 30
    assert dict(request.language_modes)["node4"] == "FullLanguage"
    assert request.health.state == "Success"
    assert not request.is_disconnected_operations
    assert request.time_floor is not None
    assert request.trusted_metadata == {"root": 1}
    assert {source.component: source.status for source in request.discovery} == {
        "Solution": "",
        "SBE": "ConnectionFailure",
    }
    assert len(request.endpoints) >= 7
    assert not any(endpoint.is_reachable for endpoint in request.endpoints)
    assert dict(request.unknown) == {"discovery of Solution": "the cluster does not tell it"}
    assert "fingerprint" in out


def test_request_changes_nothing_on_the_cluster(placed, simulate):
    cluster = simulate(placed)
    before = [content(node.drive.root) for node in cluster.world.nodes]
    ask(placed)
    assert set(cluster.world.journal.commands) <= READ_ONLY
    assert [content(node.drive.root) for node in cluster.world.nodes] == before
    assert not (placed / "site" / "journal.jsonl").exists()


def test_request_is_made_in_constrained_language_and_says_so(placed, simulate):
    simulate(placed, nodes=2, language_mode="ConstrainedLanguage")
    ask(placed)
    request = asked(placed)
    assert dict(request.language_modes) == {
        "node1": "ConstrainedLanguage",
        "node2": "ConstrainedLanguage",
    }
    assert request.solution_version
    assert request.hardware.sku == "0A6B"


def test_node_that_is_down_is_named_and_the_rest_is_asked(placed, simulate):
    cluster = simulate(placed)
    cluster.machines[0].power_off()
    out = ask(placed).out
    request = asked(placed)
    assert request.solution_version == "12.2602.1002.501"
    assert {node for node, _ in request.language_modes} == {"node2", "node3", "node4"}
    assert "node1" in dict(request.unknown)["everything of node1"]
    assert "not found out: everything of node1" in out


def test_what_is_reached_outside_is_told_address_by_address(placed, simulate):
    cluster = simulate(placed, nodes=1)
    cluster.world.reachable = {"aka.ms:443", "management.azure.com:443"}
    cluster.world.resolvable = {"mcr.microsoft.com"}
    cluster.world.sbe_discovery = "Ok"
    ask(placed)
    request = asked(placed)
    reach = {endpoint.address: endpoint.is_reachable for endpoint in request.endpoints}
    assert {address for address, is_reachable in reach.items() if is_reachable} == (
        cluster.world.reachable
    )
    assert reach["mcr.microsoft.com:443"] is False
    assert request.discovery[1].status == "Ok"
    assert cluster.world.journal.commands["Test-NetConnection"] == 3


def test_unreached_address_behind_a_proxy_is_not_called_unreachable(placed, simulate):
    cluster = simulate(placed, nodes=1)
    cluster.world.reachable = set()
    cluster.world.nodes[0].variables = {"HTTPS_PROXY": "http://user:word@proxy:8080"}
    ask(placed)
    request = asked(placed)
    assert request.endpoints == ()
    assert "proxy" in dict(request.unknown)["endpoints"]
    assert "user:word" not in (placed / "request.json").read_text(encoding="utf-8")


def test_disconnected_operations_and_a_partly_installed_sbe_are_told(placed, simulate):
    cluster = simulate(placed, nodes=2)
    cluster.world.current_sbe_version = "4.0.0.0"
    cluster.world.sbe_remark = "Solution Builder extension is partially installed. Please install …"
    for node in cluster.world.nodes:
        node.variables = {"DISCONNECTED_OPS_SUPPORT": "True"}
    ask(placed)
    assert asked(placed).is_disconnected_operations is True
    assert asked(placed).sbe_state == "partially installed"


def test_nodes_that_differ_leave_the_question_open(placed, simulate):
    cluster = simulate(placed, nodes=2)
    cluster.world.nodes[1].sku = "0A6C"
    cluster.world.nodes[1].variables = {"DISCONNECTED_OPS_SUPPORT": "True"}
    ask(placed)
    request = asked(placed)
    assert (request.hardware.model, request.hardware.sku) == ("Contoso680", "")
    assert request.is_disconnected_operations is None
    assert "node2 0A6C" in dict(request.unknown)["hardware.sku"]
    assert "node2 True" in dict(request.unknown)["is_disconnected_operations"]


def test_answer_lost_on_one_node_is_asked_of_the_next(placed, simulate):
    cluster = simulate(placed, nodes=2)
    cluster.faults.arm("drop", cmdlet="Get-SolutionUpdateEnvironment", when="after")
    ask(placed)
    assert asked(placed).solution_version == "12.2602.1002.501"
    assert "solution_version" not in " ".join(what for what, _ in asked(placed).unknown)


def test_wrong_password_is_tried_once_and_no_request_is_made(placed, simulate):
    cluster = simulate(placed)
    refused = ask(placed, expect=4, FERRY_PASSWORD="wrong-secret")
    assert "wrong-secret" not in refused.err + refused.out
    assert sum(count["refused"] for count in cluster.world.journal.logons.values()) == 1
    assert not (placed / "request.json").exists()


def test_cluster_that_nobody_reaches_has_no_measured_request(placed, simulate):
    simulate(placed).stop()
    assert "next:" in ask(placed, expect=4).err
    assert not (placed / "request.json").exists()


def test_request_without_cluster_or_answers_is_a_usage_error(placed):
    del placed.environment["FERRY_CLUSTER"]
    assert "--from-file" in ask(placed, expect=2).err


def test_request_is_known_by_the_same_site_and_key_each_time(placed, simulate):
    simulate(placed, nodes=1)
    first = json.loads(ask(placed, "--json").out)["data"]
    second = json.loads(ask(placed, "--json").out)["data"]
    _, sealed = read_request((placed / "request.json").read_bytes())
    assert first["fingerprint"] == second["fingerprint"] == fingerprint_of(sealed.public_hex)
    assert first["request"]["site_id"] == second["request"]["site_id"]
    assert first["request"]["request_id"] != second["request"]["request_id"]


def test_site_made_before_there_were_ids_gets_one(placed, simulate):
    simulate(placed, nodes=1)
    path = placed / "site" / "site.json"
    old = json.loads(path.read_text(encoding="utf-8"))
    del old["site_id"]
    path.write_text(json.dumps(old), encoding="utf-8")
    ask(placed)
    assert asked(placed).site_id == json.loads(path.read_text(encoding="utf-8"))["site_id"]


def test_file_of_somebody_else_is_not_overwritten(placed, simulate):
    simulate(placed, nodes=1)
    (placed / "request.json").write_text("letter home", encoding="utf-8")
    assert "never overwritten" in ask(placed, expect=6).err
    assert (placed / "request.json").read_text(encoding="utf-8") == "letter home"


def test_damaged_trust_state_is_told_and_does_not_stop_the_request(placed, simulate):
    simulate(placed, nodes=1)
    (placed / "site" / "trust" / "state.json").write_text("{", encoding="utf-8")
    ask(placed)
    assert asked(placed).time_floor is None
    assert "restore" not in dict(asked(placed).unknown)["time_floor, trusted_metadata"]


# --- edited, typed, on paper --------------------------------------------------------------------


def test_edited_request_is_refused(placed, simulate):
    simulate(placed, nodes=1)
    ask(placed)
    path = placed / "request.json"
    data = path.read_bytes().replace(b"12.2602.1002.501", b"12.2601.1002.503")
    with pytest.raises(SignatureError, match=r"request\.json"):
        read_request(data, file="request.json")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--print", "request.json"), "--output and --print name one file"),
        (("-o", "missing/request.json"), "'missing' does not exist"),
        (("-o", "-"), "'-' is no file to write"),
    ],
)
def test_no_node_is_asked_for_a_request_that_cannot_be_written(placed, simulate, words, said):
    cluster = simulate(placed)
    assert said in ask(placed, *words, expect=2).err
    assert not cluster.world.journal.commands
    assert not (placed / "request.json").exists()


def test_typed_answers_make_a_request_without_a_cluster(placed):
    form = placed.ferry("cluster", "request", "--template").out
    filled = form.replace("\ncluster:\n", "\ncluster: plant7\n").replace(
        "\nsolution_version:\n", "\nsolution_version: 12.2602.1002.501\n"
    )
    (placed / "answers.yaml").write_text(filled, encoding="utf-8")
    ask(placed, "--from-file", "answers.yaml")
    request = asked(placed)
    assert (request.origin, request.solution_version) == (Origin.TYPED, "12.2602.1002.501")
    assert ("hardware.sku", "not answered") in request.unknown
    assert request.trusted_metadata == {"root": 1}


def test_wrong_answer_is_told_with_its_key_and_line(placed):
    (placed / "answers.yaml").write_text(
        "format: 1\ncluster: plant7\nsolution_version: 2602\n", encoding="utf-8"
    )
    refused = ask(placed, "--from-file", "answers.yaml", expect=7)
    assert "answers.yaml, solution_version, line 3" in refused.err
    assert not (placed / "request.json").exists()


def test_answers_about_another_cluster_are_refused(placed):
    (placed / "answers.yaml").write_text("format: 1\ncluster: plant8\n", encoding="utf-8")
    refused = ask(placed, "--from-file", "answers.yaml", expect=7)
    assert "cluster, line 2: plant8 (expected: plant7" in refused.err.replace("]", "")


@pytest.mark.skipif(not paper.CHROMIUM, reason="no Chromium to draw the page")
@pytest.mark.skipif(not paper.ZBARIMG, reason="no zbarimg to scan the page")
def test_scanned_page_is_the_request(placed, simulate):
    cluster = simulate(placed, required_sbe_version=SBE_VERSION)
    offer(cluster)
    ask(placed, "--print", "request.html")
    scanned = paper.scan(placed / "request.html")
    assert read_request(scanned) == read_request((placed / "request.json").read_bytes())
    assert paper.sheets(placed / "request.html") == 1
