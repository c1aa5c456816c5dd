import errno
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from toolkit.cli import NOUNS, execute, root
from toolkit.cli._output import TEXT, Diverted, print_table
from toolkit.errors import (
    ClusterError,
    InputError,
    ReachError,
    StorageError,
    ToolkitError,
    TrustError,
)

REPOSITORY = Path(__file__).parents[3]
posix_shell = pytest.mark.skipif(os.name != "posix", reason="the shell closes the streams")


def commands(command=root, words=("ferry",)):
    """Yield every command below the root with its words."""
    context = click.Context(command, info_name=" ".join(words))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*words, name))
    else:
        yield words, command, command.get_help(context)


@pytest.fixture
def broken_site(monkeypatch):
    """Make opening a site raise the given error."""

    def breaks(error):
        def site(path):
            raise error

        monkeypatch.setattr("toolkit.cli.site.Site", site)
        return execute(["site", "show", "--site", "x"])

    return breaks


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TrustError("verify medium"), 3),
        (ReachError("connect"), 4),
        (ClusterError("add"), 5),
        (StorageError("write"), 6),
        (InputError("read"), 7),
        (ToolkitError("x"), 70),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_family_ends_in_its_exit_code(broken_site, error, code):
    assert broken_site(error) == code


def test_error_prints_what_was_tried_found_expected_and_what_to_do_next(broken_site, capsys):
    broken_site(StorageError("write a", found="disk full", expected="5 GiB", hint="free space"))
    assert (
        capsys.readouterr().err
        == "ferry: write a: disk full (expected: 5 GiB)\n  next: free space\n"
    )


def test_who_is_stopped_says_what_may_have_been_done(broken_site, capsys):
    stop = KeyboardInterrupt()
    stop.add_note("it may have begun")
    assert broken_site(stop) == 130
    assert capsys.readouterr().err.strip() == "ferry: stopped; it may have begun"


def test_ctrl_c_while_modules_are_imported_ends_as_a_later_one(broken_site, capsys):
    broken_site(KeyboardInterrupt())
    later = capsys.readouterr().err
    script = """
import runpy, sys
class Pressed:
    def find_spec(self, name, *_):
        if name == "click":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Pressed())
runpy.run_module("toolkit", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", later)


def test_anything_else_is_called_a_bug_without_a_traceback(broken_site, capsys):
    assert broken_site(RuntimeError("secret value")) == 70
    text = capsys.readouterr().err
    assert "bug in ferry" in text
    assert "Traceback" not in text
    assert "secret value" not in text


def test_a_package_that_is_missing_is_named_and_is_no_bug(broken_site, capsys):
    assert broken_site(ModuleNotFoundError("No module named 'blake3'", name="blake3")) == 7
    assert "no Python package blake3" in capsys.readouterr().err
    for name in ("toolkit.x", "fcntl", None):
        assert broken_site(ModuleNotFoundError("x", name=name)) == 70


def test_debug_prints_the_traceback(monkeypatch, capsys):
    def site(path):
        raise RuntimeError("x")

    monkeypatch.setattr("toolkit.cli.site.Site", site)
    assert execute(["--debug", "site", "show", "--site", "x"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_debug_may_stand_anywhere(broken_site, monkeypatch, capsys):
    assert execute(["site", "show", "--site", "/nowhere", "--debug"]) == 7
    assert "Traceback" in capsys.readouterr().err


def test_control_characters_of_strangers_are_shown_and_not_sent(broken_site, capsys):
    broken_site(InputError("read", found="z\x1b[2K\x9b1A\u202eevil"))
    assert "z\\x1b[2K\\x9b1A\\u202eevil" in capsys.readouterr().err


def test_table_row_stays_one_line(capsys):
    print_table(("NAME",), [("one\ntwo\x1b[A",)])
    assert capsys.readouterr().out.splitlines() == ["NAME", "one two\\x1b[A"]


def test_full_standard_output_is_a_storage_error(monkeypatch, capsys):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sys.stdout", Full())
    assert execute(["catalog", "list"]) == 6


def run(words, folder, redirected):
    """Run `ferry` in a shell that redirects its streams."""
    script = f'"$0" -m toolkit "$@" {redirected}'
    return subprocess.run(
        ["sh", "-c", script, sys.executable, *words.split()],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )


@posix_shell
@pytest.mark.parametrize("redirected", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    "words", ["--help", "catalog status --catalog .", "catalog add x.exe --catalog ."]
)
def test_a_service_without_streams_gets_the_same_exit_code(tmp_path, words, redirected):
    assert run(words, tmp_path, redirected).returncode == (7 if "add" in words else 0)


@posix_shell
@pytest.mark.parametrize("end", [BrokenPipeError(), SystemExit(1)])
def test_output_that_went_to_stderr_has_no_pipe_to_close(broken_site, monkeypatch, end):
    monkeypatch.setattr("sys.stdout", Diverted(OSError(errno.ENOSPC, "No space left on device")))
    assert broken_site(end) == 130


def test_what_belongs_to_a_closed_stderr_does_not_go_to_stdout(tmp_path):
    done = run("catalog add setup.exe --catalog c", tmp_path, "2>&-")
    assert (done.returncode, done.stdout) == (7, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", ["--help", "--version", "catalog plan -h", "catalog list"])
def test_output_that_cannot_be_written_is_a_storage_error_with_what_to_do(tmp_path, words):
    done = run(words, tmp_path, "> /dev/full")
    assert done.returncode == 6
    assert "No space left on device\n  next: " in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("flag", ["", "--json"])
def test_result_that_standard_output_does_not_take_is_not_lost(tmp_path, flag):
    words = f"catalog list --manifests {REPOSITORY / 'manifests'} {flag}"
    whole = run(words, tmp_path, "")
    done = run(words, tmp_path, "> /dev/full")
    assert done.returncode == 6
    assert whole.stdout
    assert whole.stdout in done.stderr
    assert "the same command" not in done.stderr
    assert "Exception ignored" not in done.stderr
    both = run(words, tmp_path, "> /dev/full 2>&1")
    assert (both.returncode, both.stdout, both.stderr) == (6, "", "")


def test_passphrase_without_a_terminal_is_an_input_error(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("FERRY_KEY_PASSPHRASE", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert execute(["trust", "init", "--keys", str(tmp_path / "k")]) == 7
    assert "\n  next: set FERRY_KEY_PASSPHRASE for this command" in capsys.readouterr().err


def test_journal_of_a_cluster_nobody_knows_is_an_input_error(tmp_path, capsys):
    (tmp_path / "site.json").write_text('{"kind": "ferry-site", "format": 1}', encoding="utf-8")
    assert execute(["site", "journal", "--site", str(tmp_path), "--cluster", "nosuch"]) == 7


@pytest.mark.parametrize(
    "words",
    [
        ("catalog", "export", "", "--catalog", "."),
        ("catalog", "download", "12.2603", "--catalog", ""),
        ("media", "verify", "", "--root", ""),
        ("site", "show", "--site", ""),
    ],
)
def test_an_empty_path_is_a_usage_error_and_not_the_current_folder(
    tmp_path, monkeypatch, capsys, words
):
    monkeypatch.chdir(tmp_path)
    assert execute(list(words)) == 2
    assert "is empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_time_that_is_none_or_has_no_end_is_a_usage_error_in_every_command(tmp_path, capsys):
    taking = [
        (words[1:], parameter.opts[0])
        for words, command, _ in commands()
        for parameter in command.params
        if isinstance(parameter.type, click.types.FloatParamType)
    ]
    assert len(taking) >= 6
    for words, option in taking:
        for value in ("nan", "-NaN", "inf", "-inf", "1e300", "-1", "a minute"):
            assert execute([*words, f"{option}={value}", str(tmp_path)]) == 2
            assert option in capsys.readouterr().err


def test_argument_that_is_no_text_is_a_usage_error_in_every_command(monkeypatch, capsys):
    for words, command, _ in commands():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.type.name == "text":
                said = [*words[1:], parameter.opts[0], "B\udce4n"]
                if "URL" in (parameter.metavar or ""):
                    assert not isinstance(parameter.type, type(TEXT)), said
                    continue
                assert execute(said) == 2
                told = capsys.readouterr().err
                assert parameter.opts[0] in told
                assert "no text in UTF-8" in told, said
    monkeypatch.setenv("FERRY_USERNAME", "l\udce4m")
    assert execute(["cluster", "discover", "--cluster", "c", "--site", "s"]) == 2
    assert "--user" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="other names are text")
def test_file_whose_name_is_no_text_is_used_all_the_same(tmp_path, capsys):
    folder = tmp_path / "B\udce4n"
    folder.mkdir()
    assert execute(["catalog", "status", "--catalog", str(folder), "--json"]) == 0


def test_unknown_command_is_a_usage_error(capsys):
    assert execute(["fly"]) == 2
    assert "No such command" in capsys.readouterr().err


def test_missing_site_names_the_command_that_makes_one(tmp_path, capsys):
    assert execute(["site", "show", "--site", str(tmp_path)]) == 7
    assert "ferry site init" in capsys.readouterr().err


def test_version_is_printed(capsys):
    assert execute(["--version"]) == 0
    assert re.match(r"ferry, version \d", capsys.readouterr().out)


def test_help_lists_every_noun_without_loading_the_libraries(capsys):
    assert execute(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(noun in text for noun in NOUNS)


@pytest.mark.parametrize(
    ("words", "text"), [(" ".join(words), text) for words, _, text in commands()]
)
def test_help_has_an_example_and_says_what_changes(words, text):
    assert f"Example:\n    {words}" in text
    assert "Changes:" in text


def test_no_command_takes_a_password():
    for words, command, _ in commands():
        for parameter in command.params:
            assert "pass" not in (parameter.name or ""), words


def test_every_command_that_reports_has_json():
    reporting = (
        "list",
        "show",
        "lint",
        "path",
        "verify",
        "discover",
        "watch",
        "analyse",
        "journal",
    )
    for words, command, _ in commands():
        if words[-1] in reporting:
            assert any(parameter.name == "json_output" for parameter in command.params), words


def test_command_reference_is_fresh():
    text = (REPOSITORY / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    for words, command, _ in commands():
        context = click.Context(
            command, info_name=" ".join(words), terminal_width=100, max_content_width=100
        )
        assert command.get_help(context).rstrip() in text, f"run scripts/reference.py: {words}"


def test_a_noun_gives_the_first_sentence_of_each_command_whole(capsys):
    for noun in NOUNS:
        assert execute([noun, "--help"]) == 0
        listed = capsys.readouterr().out.partition("Commands:")[2]
        assert listed.strip().endswith("."), noun
        assert "..." not in listed, noun


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        ("--help", {"toolkit.sbe", "toolkit.request", "cryptography", "xml.etree"}),
        ("media verify --help", {"tuf", "securesystemslib", "toolkit.request", "toolkit.catalog"}),
        ("cluster import --help", {"toolkit.media", "tuf"}),
        ("site init --help", {"toolkit.media", "tuf"}),
        ("run --help", {"toolkit.media", "toolkit.request._page", "jinja2", "tuf"}),
    ],
)
def test_help_loads_nothing_that_it_does_not_use(words, unwanted):
    script = (
        "import sys; from toolkit.cli import execute; execute(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words.split()], capture_output=True, text=True, check=True
    )
    assert "Usage:" in done.stdout
    assert unwanted.isdisjoint(done.stderr.split())


def test_readme_lists_every_exit_code():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    codes = {
        cls.exit_code for cls in (TrustError, ReachError, ClusterError, StorageError, InputError)
    }
    for code in codes | {0, 1, 2, 70, 130, 143}:
        assert f"| {code} |" in readme


def test_json_output_of_a_site_is_versioned(tmp_path, capsys):
    (tmp_path / "site.json").write_text('{"kind": "ferry-site", "format": 1}', encoding="utf-8")
    assert execute(["site", "show", "--site", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"format": 1, "kind": "clusters", "data": []}
