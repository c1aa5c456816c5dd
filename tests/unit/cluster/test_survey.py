"""The survey: each answer by itself, each missing one with its reason, and never twice a refused password."""

import pytest

from toolkit.cluster._surveying import ENDPOINTS, ENDPOINTS_S, Survey
from toolkit.errors import (
    AuthenticationError,
    CommandError,
    ConnectError,
    InputError,
    SessionLostError,
)
from toolkit.model import KnownCluster, Node, Silent

SITE = "9e0f1a2b-3c4d-4e5f-8a6b-7c8d9e0f1a2b"
GB = 1 << 30


class FakeCluster:
    """Nodes that answer commands by the names of their cmdlets."""

    def __init__(self, *nodes: str) -> None:
        self.nodes = nodes or ("n1",)
        self.sent: list[tuple[str, str]] = []
        self.raises: dict[tuple[str, str], Exception] = {}
        """(node or "", cmdlet) → what it raises, each time."""
        self.now = 0.0
        self.seconds: dict[str, float] = {}
        """Cmdlet → how long it takes."""
        self.replies: dict[str, list] = {
            "Get-SolutionUpdateEnvironment": [
                {
                    "CurrentVersion": "12.2602.1002.501",
                    "CurrentSbeVersion": "4.2.2512.1616",
                    "SbeFamily": "GenA",
                    "State": "UpdateAvailable",
                    "HealthState": "Warning",
                    "HealthCheckResult": [
                        {"Name": "A", "Status": "FAILURE", "Severity": "CRITICAL"},
                        {"Name": "A", "Status": "FAILURE", "Severity": "CRITICAL"},
                        {"Name": "B", "Status": "ERROR", "Severity": "Warning"},
                        {"Name": "C", "Status": "SUCCESS", "Severity": "CRITICAL"},
                        {"Name": "D", "Status": "FAILURE", "Severity": "INFORMATIONAL"},
                    ],
                }
            ],
            "Get-SolutionUpdate": [
                {
                    "ResourceId": "redmond/Solution12.2603.1002.15",
                    "Version": "12.2603.1002.15",
                    "State": "Ready",
                    "AdditionalProperties": {"SBEFamily": "gena", "SBEPublisher": "Contoso"},
                }
            ],
            "Get-SolutionDiscoveryDiagnosticInfo": [
                {
                    "Configuration": {
                        "ComponentUris": {"Solution": "https://s", "SBE": "https://b"}
                    },
                    "SbeManifestResult": {"ManifestSource": "https://b", "Status": "Ok"},
                    "SolutionManifestResult": {"ManifestSource": "https://s", "Status": "Ok"},
                }
            ],
            "Get-ClusterSharedVolume": [
                {"FriendlyVolumeName": "C:\\CSV\\1", "Partition": {"FreeSpace": GB, "Size": 2 * GB}}
            ],
            "Get-ClusterNode": [{"Name": name, "State": "Up"} for name in self.nodes],
            "Get-Volume": [
                {"DriveLetter": "C", "DriveType": "Fixed", "Size": 9 * GB, "SizeRemaining": GB}
            ],
            "Get-Variable": [{"LanguageMode": "FullLanguage"}],
            "HKLM:BIOS": [
                {"SystemManufacturer": "Contoso", "SystemProductName": "X", "SystemSKU": "S"}
            ],
            "HKLM:Environment": [{}],
            "Resolve-DnsName": [{"IPAddress": "203.0.113.7"}],
            "Test-NetConnection": [True],
        }

    def survey(self) -> Survey:
        nodes = tuple(Node(name=name, address=name) for name in self.nodes)
        return Survey(
            known=KnownCluster(name="plant7", nodes=nodes),
            site_id=SITE,
            open=lambda node: FakeSession(self, node.name),
            progress=Silent(),
            clock=lambda: self.now,
        )

    def run(self):
        return self.survey().run()


class FakeSession:
    def __init__(self, cluster: FakeCluster, node: str) -> None:
        self.cluster, self.node = cluster, node

    def __enter__(self):
        return self

    def __exit__(self, *stop):
        return None

    def invoke(self, command):
        first = command.pipeline[0]
        name = first.name
        if name == "Get-ItemProperty":
            name = "HKLM:" + dict(first.parameters)["LiteralPath"].rpartition("\\")[2]
        self.cluster.sent.append((self.node, name))
        self.cluster.now += self.cluster.seconds.get(name, 0.0)
        for where in (self.node, ""):
            if (where, name) in self.cluster.raises:
                raise self.cluster.raises[where, name]
        assert not command.changes_cluster
        return command.parse(tuple(self.cluster.replies[name]))


@pytest.fixture
def cluster():
    return FakeCluster()


def refusal(cmdlet, words="it is broken", error_id=None):
    return CommandError(f"run {cmdlet}", cmdlet=cmdlet, error_id=error_id, found=words)


def test_cluster_that_answers_everything_leaves_nothing_unknown(cluster):
    request = cluster.run()
    assert request.unknown == ()
    assert (request.cluster, request.site_id) == ("plant7", SITE)
    assert request.sbe_publisher == "Contoso"
    assert (request.health.failed_critical, request.health.failed_warning) == (("A",), ("B",))
    assert [volume.volume for volume in request.volumes] == ["C:\\CSV\\1", "C:"]
    assert all(endpoint.is_reachable for endpoint in request.endpoints)
    assert {endpoint.group for endpoint in request.endpoints} == {group for group, *_ in ENDPOINTS}


@pytest.mark.parametrize(
    ("cmdlet", "what"),
    [
        ("Get-SolutionUpdateEnvironment", "solution_version"),
        ("Get-SolutionUpdate", "updates"),
        ("Get-SolutionDiscoveryDiagnosticInfo", "discovery"),
        ("Get-ClusterSharedVolume", "volumes"),
        ("Get-ClusterNode", "node_count"),
        ("Get-Volume", "volumes of n1"),
        ("Get-Variable", "language_modes of n1"),
        ("HKLM:BIOS", "hardware of n1"),
        ("HKLM:Environment", "is_disconnected_operations of n1"),
        ("Resolve-DnsName", "endpoints"),
        ("Test-NetConnection", "endpoints"),
    ],
)
@pytest.mark.parametrize("error", [refusal, InputError, SessionLostError])
def test_one_failing_cmdlet_is_noted_and_never_loses_the_rest(cluster, cmdlet, what, error):
    cluster.raises["", cmdlet] = error(f"run {cmdlet}")
    request = cluster.run()
    unknown = dict(request.unknown)
    (noted,) = [key for key in unknown if key.partition(",")[0] == what]
    assert cmdlet in unknown[noted]
    asked = {name for _, name in cluster.sent}
    skipped = {"Test-NetConnection"} if cmdlet == "Resolve-DnsName" else set()
    assert asked == set(cluster.replies) - skipped


@pytest.mark.parametrize("reply", [[], ["text"], [None], [{}]])
def test_reply_that_says_nothing_is_noted_for_every_question(cluster, reply):
    cluster.replies = dict.fromkeys(cluster.replies, reply)
    request = cluster.run()
    noted = " ".join(what for what, _ in request.unknown)
    for what in ("solution_version", "language_modes of n1", "discovery"):
        assert what in noted
    assert request.solution_version == ""
    assert not any(endpoint.is_reachable for endpoint in request.endpoints)


def test_refused_password_stops_at_once():
    cluster = FakeCluster("n1", "n2")
    cluster.raises["n1", "Get-Volume"] = AuthenticationError("connect to n1")
    with pytest.raises(AuthenticationError):
        cluster.run()
    assert cluster.sent == [("n1", "Get-Volume")]


def test_password_refused_by_the_second_node_stops_there():
    cluster = FakeCluster("n1", "n2", "n3")
    cluster.raises["n2", "Get-Volume"] = AuthenticationError("connect to n2")
    with pytest.raises(AuthenticationError):
        cluster.run()
    assert "n3" not in {node for node, _ in cluster.sent}


def test_node_that_goes_away_in_the_middle_is_named_and_its_answers_are_kept():
    cluster = FakeCluster("n1", "n2")
    cluster.raises["n1", "Get-SolutionUpdate"] = ConnectError("connect to n1")
    request = cluster.run()
    assert "everything of n1" in dict(request.unknown)
    assert [update.version for update in request.updates] == ["12.2603.1002.15"]
    assert [node for node, _ in request.language_modes] == ["n1", "n2"]
    assert cluster.sent.count(("n2", "Get-SolutionUpdateEnvironment")) == 0


def test_answer_lost_twice_is_not_asked_for_a_third_time():
    cluster = FakeCluster("n1", "n2", "n3")
    cluster.raises["", "Get-SolutionUpdate"] = SessionLostError("run Get-SolutionUpdate")
    assert "updates" in dict(cluster.run().unknown)
    assert [node for node, name in cluster.sent if name == "Get-SolutionUpdate"] == ["n1", "n2"]


def test_answer_refused_by_the_cluster_is_not_asked_for_again():
    cluster = FakeCluster("n1", "n2")
    cluster.raises["", "Get-SolutionUpdate"] = refusal("Get-SolutionUpdate")
    cluster.run()
    assert [node for node, name in cluster.sent if name == "Get-SolutionUpdate"] == ["n1"]


def test_nodes_that_answer_nothing_are_lost():
    cluster = FakeCluster("n1", "n2", "n3")
    cluster.raises["n1", "Get-Volume"] = ConnectError("connect to n1")
    for name in cluster.replies:
        cluster.raises["n2", name] = SessionLostError(f"run {name}")
    survey = cluster.survey()
    request = survey.run()
    assert [node.name for node, _ in survey.lost] == ["n1", "n2"]
    assert [node for node, _ in request.language_modes] == ["n3"]


def test_node_that_the_site_does_not_know_is_named():
    cluster = FakeCluster("n1.plant7.lan")
    cluster.replies["Get-ClusterNode"] = [{"Name": "N1"}, {"Name": "n2"}]
    request = cluster.run()
    assert request.node_count == 2
    assert [what for what, _ in request.unknown] == ["everything of n2"]


def test_volume_that_is_offline_is_named(cluster):
    cluster.replies["Get-ClusterSharedVolume"] += [{"FriendlyVolumeName": "C:\\CSV\\2"}]
    request = cluster.run()
    assert [volume.volume for volume in request.volumes] == ["C:\\CSV\\1", "C:"]
    assert dict(request.unknown) == {"volumes": "no space is told of C:\\CSV\\2"}


def test_language_mode_that_cannot_be_told_is_unknown(cluster):
    cluster.replies["Get-Variable"] = [{"LanguageMode": None}]
    request = cluster.run()
    assert request.language_modes == ()
    assert "language_modes of n1" in dict(request.unknown)


@pytest.mark.parametrize(
    ("environment", "state"),
    [
        ({"CurrentSbeVersion": "2.1.0.0"}, "none"),
        ({"CurrentSbeVersion": "4.0.0.0"}, "not installed"),
        (
            {
                "CurrentSbeVersion": "4.0.0.0",
                "AdditionalData": {"SBEAdditionalData": "It is partially installed. Please …"},
            },
            "partially installed",
        ),
        ({"CurrentSbeVersion": ""}, ""),
    ],
)
def test_state_of_the_sbe_is_told(cluster, environment, state):
    cluster.replies["Get-SolutionUpdateEnvironment"][0] |= environment
    assert cluster.run().sbe_state == state


def test_cluster_without_an_sbe_has_no_open_question_about_one(cluster):
    cluster.replies["Get-SolutionUpdateEnvironment"][0] |= {
        "CurrentSbeVersion": "2.1.0.0",
        "SbeFamily": "",
    }
    cluster.replies["Get-SolutionUpdate"] = []
    assert cluster.run().unknown == ()


def test_publisher_that_no_update_names_is_unknown(cluster):
    cluster.replies["Get-SolutionUpdate"][0]["AdditionalProperties"] = {}
    assert dict(cluster.run().unknown) == {"sbe_publisher": "no listed update names it"}


@pytest.mark.parametrize(
    ("value", "told"), [("True", True), ("true", True), ("False", False), (None, False)]
)
def test_disconnected_operations_are_told(cluster, value, told):
    cluster.replies["HKLM:Environment"] = [{"DISCONNECTED_OPS_SUPPORT": value}]
    assert cluster.run().is_disconnected_operations is told


def test_setting_that_is_neither_yes_nor_no_is_unknown(cluster):
    cluster.replies["HKLM:Environment"] = [{"DISCONNECTED_OPS_SUPPORT": "maybe"}]
    request = cluster.run()
    assert request.is_disconnected_operations is None
    assert "n1 maybe" in dict(request.unknown)["is_disconnected_operations"]


# --- addresses outside --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error_id",
    [
        "DNS_ERROR_RCODE_NAME_ERROR,Microsoft.DnsClient.Commands.ResolveDnsName",
        "DNS_ERROR_RCODE_SERVER_FAILURE,Microsoft.DnsClient.Commands.ResolveDnsName",
        "ERROR_TIMEOUT,Microsoft.DnsClient.Commands.ResolveDnsName",
    ],
)
def test_name_without_an_address_is_unreachable_and_not_waited_for(cluster, error_id):
    cluster.raises["", "Resolve-DnsName"] = refusal("Resolve-DnsName", error_id=error_id)
    request = cluster.run()
    assert {endpoint.is_reachable for endpoint in request.endpoints} == {False}
    assert len(request.endpoints) == len(ENDPOINTS)
    assert ("n1", "Test-NetConnection") not in cluster.sent


def test_silent_firewall_does_not_take_minutes(cluster):
    cluster.replies["Test-NetConnection"] = [False]
    cluster.seconds["Test-NetConnection"] = 26.0
    request = cluster.run()
    assert cluster.now <= ENDPOINTS_S + 26
    assert len(request.endpoints) == 3
    assert ENDPOINTS[3][1] in dict(request.unknown)["endpoints"]


def test_first_addresses_asked_are_one_of_each_group():
    groups = [group for group, *_ in ENDPOINTS]
    first = groups[: len(set(groups))]
    assert len(set(first)) == len(first)


def test_missing_cmdlet_is_not_tried_for_every_address(cluster):
    cluster.raises["", "Test-NetConnection"] = refusal(
        "Test-NetConnection", error_id="CommandNotFoundException"
    )
    request = cluster.run()
    assert request.endpoints == ()
    assert cluster.sent.count(("n1", "Test-NetConnection")) == 2


def test_node_that_goes_away_while_addresses_are_asked_keeps_what_it_told(cluster):
    cluster.raises["", "Test-NetConnection"] = ConnectError("connect to n1")
    request = cluster.run()
    assert "connect to n1" in dict(request.unknown)["endpoints"]
    assert request.node_count == 1


def test_every_address_is_asked_also_behind_a_proxy(cluster):
    cluster.replies["HKLM:Environment"] = [{"HTTP_PROXY": "http://proxy"}]
    cluster.replies["Test-NetConnection"] = [False]
    request = cluster.run()
    assert request.endpoints == ()
    assert all(host in dict(request.unknown)["endpoints"] for _, host, _ in ENDPOINTS)


def test_addresses_reached_in_spite_of_a_proxy_are_told(cluster):
    cluster.replies["HKLM:Environment"] = [{"HTTPS_PROXY": "http://proxy"}]
    request = cluster.run()
    assert len(request.endpoints) == len(ENDPOINTS)
    assert request.unknown == ()
