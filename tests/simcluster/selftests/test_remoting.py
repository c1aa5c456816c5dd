"""Unmodified pypsrp against the simulated WinRM service."""

import base64
import time

import pytest
import requests
import requests.exceptions
from pypsrp.exceptions import AuthenticationError, WSManFaultError
from pypsrp.powershell import PowerShell, PSInvocationState, RunspacePool

from tests.simcluster.auth import channel_binding
from tests.simcluster.selftests.winrm import (
    PASSWORD,
    USER,
    marks,
    pool,
    prepare,
    run,
    simulate,
    wsman,
)

pytestmark = marks


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with simulate(tmp_path_factory.mktemp("sim"), allows_basic=True) as running:
        yield running


@pytest.fixture
def opened(cluster):
    with pool(cluster) as ready:
        yield ready


def logons(cluster):
    return {user: dict(tally) for user, tally in cluster.journal.logons.items()}


# --- ways in ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"encryption": "always"},
        {"ssl": False},
        {"auth": "ntlm"},
        {"auth": "basic"},
        {"username": f"node1\\{USER}"},
        {"username": f"{USER}@cluster.example"},
    ],
    ids=["https", "https-sealed", "http-sealed", "ntlm", "basic", "domain", "upn"],
)
def test_client_gets_in_and_is_answered(cluster, options):
    with pool(cluster, **options) as ready:
        output, _ = run(ready, "hostname.exe")
    assert output == ["NODE1"]


def test_client_certificate_is_a_credential(cluster):
    certificate, key = cluster.authority.issue_client(USER)
    options = {"certificate_pem": str(certificate), "certificate_key_pem": str(key)}
    with pool(cluster, auth="certificate", username=None, password=None, **options) as ready:
        assert run(ready, "hostname.exe")[0] == ["NODE1"]


def test_certificate_of_somebody_unknown_is_refused(cluster):
    certificate, key = cluster.authority.issue_client("mallory")
    client = wsman(
        cluster, auth="certificate", certificate_pem=str(certificate), certificate_key_pem=str(key)
    )
    with client, pytest.raises(AuthenticationError):
        RunspacePool(client).open()


@pytest.mark.parametrize(
    "options", [{}, {"ssl": False}, {"auth": "basic"}], ids=["https", "http", "basic"]
)
def test_wrong_password_costs_one_attempt(cluster, options):
    before = logons(cluster).get(f"winrm {USER}", {}).get("refused", 0)
    with wsman(cluster, password="wrong", **options) as client, pytest.raises(AuthenticationError):
        RunspacePool(client).open()
    assert logons(cluster)[f"winrm {USER}"]["refused"] == before + 1


def test_unknown_user_is_refused(cluster):
    with wsman(cluster, username="nobody") as client, pytest.raises(AuthenticationError):
        RunspacePool(client).open()
    assert logons(cluster)["winrm nobody"] == {"refused": 1}


def test_basic_is_not_offered_over_http(cluster):
    address = cluster.machines[0].node.address
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    answer = requests.post(
        f"http://{address}:5985/wsman",
        data=b"<x/>",
        headers={"Authorization": f"Basic {token}"},
        timeout=5,
    )
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Negotiate")


def test_unsealed_message_over_http_is_refused(cluster):
    with wsman(cluster, ssl=False, encryption="never") as client, pytest.raises(Exception) as got:
        RunspacePool(client).open()
    assert "500" in str(got.value)


def test_identify_is_answered_to_anyone_who_trusts_the_authority(cluster):
    answer = requests.post(
        f"https://{cluster.machines[0].node.address}:5986/wsman",
        headers={"WSMANIDENTIFY": "unauthenticated"},
        verify=str(cluster.authority.ca_file),
        timeout=5,
    )
    assert b"Microsoft Corporation" in answer.content


def test_unknown_authority_is_noticed_by_the_client(cluster):
    client = wsman(cluster, cert_validation=True)
    with client, pytest.raises(requests.exceptions.SSLError):
        RunspacePool(client).open()


def test_missing_channel_binding_is_refused_where_it_is_required(tmp_path):
    with simulate(tmp_path, needs_channel_binding=True) as strict:
        with pool(strict) as ready:
            assert run(ready, "hostname.exe")[0] == ["NODE1"]
        with (
            wsman(strict, negotiate_send_cbt=False) as client,
            pytest.raises(AuthenticationError),
        ):
            RunspacePool(client).open()
        der = strict.machines[0]._certificate.certificate_der
    assert channel_binding(der).startswith(b"tls-server-end-point:")


# --- what arrives -------------------------------------------------------------------------------


def test_enumeration_of_a_plain_object_arrives_as_text(opened):
    output, _ = run(opened, "Get-SolutionUpdateEnvironment")
    assert output[0].adapted_properties["State"] == "AppliedSuccessfully"


def test_enumeration_of_a_selected_object_arrives_as_an_enumeration(opened):
    select = ("Select-Object", {"Property": ["State", "CurrentVersion"]})
    output, _ = run(opened, "Get-SolutionUpdateEnvironment", select)
    state = output[0].extended_properties["State"]
    assert str(state) == "AppliedSuccessfully"
    assert state.types[1:] == ["System.Enum", "System.ValueType", "System.Object"]
    assert output[0].extended_properties["CurrentVersion"] == "12.2602.1002.501"


def test_nested_object_is_cut_to_its_type_name(opened):
    variable = ("Get-Variable", {"Name": "ExecutionContext", "ValueOnly": None})
    output, _ = run(opened, variable)
    session = output[0].adapted_properties["SessionState"]
    assert session == "System.Management.Automation.SessionState"


def test_language_mode_can_be_asked_without_script(opened):
    output, _ = run(
        opened,
        ("Get-Variable", {"Name": "ExecutionContext", "ValueOnly": None}),
        ("Select-Object", {"ExpandProperty": "SessionState"}),
        ("Select-Object", {"ExpandProperty": "LanguageMode"}),
    )
    assert [str(mode) for mode in output] == ["FullLanguage"]


def test_version_of_powershell_is_windows_powershells(opened):
    output, _ = run(
        opened,
        ("Get-Variable", {"Name": "PSVersionTable", "ValueOnly": None}),
        ("Select-Object", {"ExpandProperty": "PSVersion"}),
    )
    assert output == ["5.1.26100.32522"]


def test_input_objects_reach_the_pipeline(opened):
    output, _ = run(opened, "Measure-Object", given=list(range(500)))
    assert output[0].adapted_properties["Count"] == 500


def test_statements_run_one_after_another(opened):
    shell = PowerShell(opened)
    shell.add_cmdlet("Write-Output").add_argument(1)
    shell.add_statement()
    shell.add_cmdlet("Write-Output").add_argument(2)
    assert shell.invoke() == [1, 2]
    shell.close()


def test_output_larger_than_any_envelope_arrives_whole(opened):
    text = "abcdefgh" * 150_000
    output, _ = run(opened, "Write-Output", given=[text, text])
    assert output == [text, text]


def test_progress_and_warning_records_arrive(opened):
    _, progress = run(opened, ("Write-Progress", {"Activity": "Copy", "PercentComplete": 40}))
    assert [(one.activity, one.percent_complete) for one in progress.streams.progress] == [
        ("Copy", 40)
    ]
    _, warning = run(opened, ("Write-Warning", {"Message": "mind the gap"}))
    assert [one.message for one in warning.streams.warning] == ["mind the gap"]


# --- errors -------------------------------------------------------------------------------------


def test_nonterminating_error_lets_the_pipeline_complete(opened):
    paths = ["C:\\nowhere", "C:\\Windows"]
    output, shell = run(opened, ("Get-Item", {"LiteralPath": paths}))
    (error,) = shell.streams.error
    assert error.fq_error == "PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand"
    assert (error.category, error.target_name) == (13, "C:\\nowhere")
    assert (len(output), shell.had_errors) == (1, False)


def test_error_action_stop_makes_it_terminate(opened):
    parameters = {"LiteralPath": ["C:\\nowhere", "C:\\Windows"], "ErrorAction": "Stop"}
    output, shell = run(opened, ("Get-Item", parameters))
    assert (output, shell.had_errors, shell.state) == ([], True, PSInvocationState.FAILED)


def test_unknown_command_is_the_platforms_error(opened):
    _, shell = run(opened, "Get-Nothing")
    (error,) = shell.streams.error
    assert (error.fq_error, error.category) == ("CommandNotFoundException", 13)
    assert "'Get-Nothing' is not recognized" in str(error)


@pytest.mark.parametrize(
    ("stage", "error_id"),
    [
        (("Get-Item", {"Nonsense": 1}), "NamedParameterNotFound"),
        (("Get-Item", ["a", "b"]), "PositionalParameterNotFound"),
        (("Select-Object", {"First": "many"}), "CannotConvertArgumentNoMessage"),
        (("Add-SolutionUpdate", {}), "MissingMandatoryParameter"),
        (("Get-Content", {"R": None}), "AmbiguousParameter"),
    ],
)
def test_parameters_are_bound_as_strictly_as_there(opened, stage, error_id):
    _, shell = run(opened, stage)
    assert shell.streams.error[0].fq_error.partition(",")[0] == error_id
    assert shell.had_errors


def test_script_text_is_refused_in_plain_words(opened):
    shell = PowerShell(opened).add_script("[IO.File]::ReadAllText('x')")
    shell.invoke()
    assert "executes no script text" in str(shell.streams.error[0])
    shell.close()


def test_script_text_under_constrained_language_fails_as_there(tmp_path):
    with (
        simulate(tmp_path, language_mode="ConstrainedLanguage") as locked,
        pool(locked) as ready,
    ):
        shell = PowerShell(ready).add_script("[IO.File]::ReadAllText('x')")
        shell.invoke()
        error = shell.streams.error[0]
        shell.close()
        assert error.fq_error == "MethodInvocationNotSupportedInConstrainedLanguage"
        assert run(ready, "hostname.exe")[0] == ["NODE1"]


# --- shells -------------------------------------------------------------------------------------


def test_quiet_pipeline_is_polled_until_it_ends(cluster):
    with pool(cluster, operation_timeout=1) as ready:
        before = cluster.journal.requests
        output, _ = run(ready, ("Start-Sleep", {"Milliseconds": 1500}))
    assert output == []
    assert cluster.journal.requests - before > 3


def test_stopped_pipeline_ends_at_once(opened):
    shell = prepare(opened, ("Start-Sleep", {"Seconds": 60}))
    shell.begin_invoke()
    began = time.monotonic()
    shell.stop()
    assert time.monotonic() - began < 5


def test_pool_answers_about_its_runspaces(opened):
    assert opened.get_available_runspaces() == 1
    opened.max_runspaces = 3
    assert opened.get_available_runspaces() == 3


def test_shell_that_is_gone_is_a_fault(cluster):
    with pool(cluster) as ready:
        cluster.machines[0].shells.close_all()
        with pytest.raises(WSManFaultError) as got:
            run(ready, "hostname.exe")
        assert got.value.code == 2150858843
        assert not ready.is_alive()
        ready.state = 4  # closed: nothing is left to delete


def test_shells_beyond_the_quota_are_refused(tmp_path):
    with simulate(tmp_path, shell_limit=1) as small, pool(small):
        with wsman(small) as client, pytest.raises(WSManFaultError) as got:
            RunspacePool(client).open()
        assert "maximum number of shells" in got.value.reason


def test_unknown_session_configuration_is_a_fault(cluster):
    with wsman(cluster) as client, pytest.raises(WSManFaultError) as got:
        RunspacePool(client, configuration_name="Somewhere.Else").open()
    assert "session configuration" in got.value.reason


def test_closed_pools_leave_no_shell_behind(cluster):
    before = cluster.machines[0].shells.open_count
    for _ in range(2):
        with pool(cluster) as ready:
            run(ready, "hostname.exe")
    assert cluster.machines[0].shells.open_count == before


def test_unread_output_holds_its_producer_back(cluster):
    with pool(cluster) as ready:
        shell = prepare(ready, "Write-Output")
        text = "x" * 500_000
        (inner,) = cluster.machines[0].shells._shells.values()
        shell.add_parameter("InputObject", [text] * 40)
        shell.begin_invoke()
        time.sleep(0.5)
        waiting = max(queue.waiting_bytes for queue in inner._queues.values())
        assert waiting < 8 << 20
        assert len(shell.end_invoke()) == 40
        shell.close()


# --- lost connections ---------------------------------------------------------------------------


def test_answer_is_given_again_to_the_identical_question(cluster):
    """A client that timed out repeats its Receive word for word."""
    with pool(cluster, read_timeout=1, operation_timeout=5, reconnection_backoff=0.1) as ready:
        cluster.faults.arm("slow", verb="Receive", cmdlet="Write-Output", seconds=1.6)
        output, _ = run(ready, ("Write-Output", ["still here"]))
    assert output == ["still here"]


@pytest.mark.parametrize(("when", "is_done"), [("before", False), ("after", True)])
def test_dropped_connection_before_and_after_the_command_was_taken(cluster, when, is_done):
    folder = f"C:\\dropped-{when}"
    with pool(cluster) as ready:
        cluster.faults.arm("drop", cmdlet="New-Item", when=when)
        with pytest.raises(requests.exceptions.ConnectionError):
            run(ready, ("New-Item", {"ItemType": "Directory", "Path": folder}))
        time.sleep(0.2)
        output, _ = run(ready, ("Test-Path", {"LiteralPath": folder}))
    assert output == [is_done]


def test_dropped_sealed_connection_is_not_taken_up_again(cluster):
    with wsman(cluster, ssl=False) as client:
        ready = RunspacePool(client)
        ready.open()
        cluster.faults.arm("drop", cmdlet="hostname.exe")
        with pytest.raises(requests.exceptions.ConnectionError):
            run(ready, "hostname.exe")
        with pytest.raises(Exception) as got:
            run(ready, "hostname.exe")
        assert "400" in str(got.value)
    cluster.machines[0].shells.close_all()
