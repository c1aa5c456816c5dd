"""What `ferry run` makes of its words, before any cluster is asked."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from toolkit.cli import execute
from toolkit.cli._run_options import read_update
from toolkit.cli._run_start import _check_names, _Instant, _print
from toolkit.cli._run_watch import _finish
from toolkit.cluster import Expected, Permit, Readiness, Sight, Started, Wish
from toolkit.errors import InputError
from toolkit.model import ResourceId, SolutionVersion, Update, UpdateState
from toolkit.sbe import SbeVersion

SITE = Path("my site")


def test_update_is_named_by_its_version_or_as_an_sbe_is_listed() -> None:
    assert read_update("12.2603.1002.15") == SolutionVersion.parse("12.2603.1002.15")
    assert read_update(" sbe4.2.2603.1 ") == SbeVersion.parse("4.2.2603.1")


@pytest.mark.parametrize("text", ["SBE", "SBE4.2", "4.2.2603.1", "2603", ""])
def test_what_names_no_update_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError):
        read_update(text)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-28T22:00+01:00", "2026-11-28T21:00:00+00:00"),
        ("2026-11-28 22:00Z", "2026-11-28T22:00:00+00:00"),
        ("20261128T220000-05:00", "2026-11-29T03:00:00+00:00"),
    ],
)
def test_time_with_a_zone_is_that_instant(text: str, instant: str) -> None:
    assert _Instant().convert(text, None, None) == datetime.fromisoformat(instant)


def test_time_without_a_zone_is_of_this_machine() -> None:
    at = _Instant().convert("2026-11-28T22:00", None, None)
    assert at.tzinfo is not None
    assert (at.hour, at.minute) == (22, 0)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process is set on Unix only")
@pytest.mark.parametrize("text", ["2027-03-28T02:30", "2027-10-31T02:30"], ids=["never", "twice"])
def test_time_at_which_the_clock_is_set_needs_its_offset(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        with pytest.raises(click.BadParameter, match="comes twice or never"):
            _Instant().convert(text, None, None)
        assert _Instant().convert(f"{text}+01:00", None, None).tzinfo is not None
        assert _Instant().convert("2027-03-28T03:30", None, None).hour == 3
    time.tzset()


@pytest.mark.parametrize("text", ["", "soon", "2026-11-28", "22:00", "2026-11-31T22:00", "T" * 40])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time such as"):
        _Instant().convert(text, None, None)


def test_every_check_can_be_named_and_nothing_else() -> None:
    option = click.Option(["--accept-warnings"])
    context = click.Context(click.Command("start"))
    assert _check_names(context, option, ("node-up", "node-up")) == {"node-up"}
    with pytest.raises(click.BadParameter, match="no check is called all, nodes"):
        _check_names(context, option, ("all", "node-up", "nodes"))


@pytest.mark.parametrize("reason", ["fixed it", "1234567890", "4711 - 4712 - 4713"])
def test_reason_that_says_nothing_is_a_usage_error(
    reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--cluster", "plant7", "--site", "none", "--i-have-fixed", reason]
    assert execute(["run", "start", "12.2603.1002.15", *words]) == 2
    assert "at least 10 letters" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["prepare", "start", "history"])
def test_help_needs_no_site(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["run", command, "--help"]) == 0
    assert "Changes:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("prepare_only", "run_id", "said"),
    [
        (False, "", "could be started now; nothing was changed"),
        (True, "", "could be prepared now; nothing was changed"),
        (False, "r/1", "started, run r/1"),
        (True, "r/1", "preparation started, run r/1"),
    ],
)
def test_preparation_is_never_called_a_start(
    prepare_only: bool, run_id: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    permit = Permit(
        refusals=(),
        accepted=(),
        evidence=(),
        notes=(),
        ignores_warnings=False,
        expected=Expected(duration=timedelta(hours=5), basis="published"),
        wait_until=None,
    )
    readiness = Readiness(
        cluster="plant7",
        checked_at=datetime(2026, 11, 26, tzinfo=UTC),
        version=None,
        set_name="",
        results=(),
        not_asked=(),
    )
    started = Started(run_id=ResourceId(run_id), permit=permit, readiness=readiness)
    _print(
        "12.2603.1002.15", Wish(prepare_only=prepare_only), started, cluster="plant7", site_dir=SITE
    )
    shown, *more = capsys.readouterr().out.splitlines()
    assert shown.removeprefix("12.2603.1002.15 ") == said
    followed = f'  next: ferry run watch 12.2603.1002.15 --cluster plant7 --site "{SITE}"'
    assert more[1:] == ([followed] if run_id else [])


def test_what_is_to_be_done_after_a_failure_is_all_that_a_start_asks_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    update = Update(
        resource_id=ResourceId("redmond/Solution12.2603.1002.15"),
        version="12.2603.1002.15",
        display_name="",
        state=UpdateState.InstallationFailed,
        state_raw="InstallationFailed",
    )
    code = _finish(
        Sight(update=update, run=None), cluster="plant7", site_dir=SITE, json_output=False
    )
    assert code == 1
    said = capsys.readouterr().out
    assert f'ferry logs collect --cluster plant7 --site "{SITE}" -o FILE.zip' in said
    assert f'ferry logs analyse FILE.zip --report FILE.html --site "{SITE}"' in said
