"""No POSIX-only call may stand outside a branch that asks for the platform first."""

import ast
from pathlib import Path

import pytest

TOOLKIT = Path(__file__).parents[2] / "toolkit"
SCRIPTS = Path(__file__).parents[2] / "scripts"
FILES = sorted([*TOOLKIT.rglob("*.py"), *SCRIPTS.glob("*.py")])

MODULES = {"fcntl", "grp", "pwd", "pty", "resource", "syslog", "termios", "tty"}
NAMES = {
    "os": {
        "O_DIRECT", "O_DIRECTORY", "O_NOFOLLOW", "O_SYNC", "chown", "chroot", "fchmod", "fchown", "fork",
        "getegid", "geteuid", "getgid", "getpgid", "getuid", "killpg", "lchown", "mkfifo", "mknod", "nice",
        "openpty", "posix_fadvise", "posix_fallocate", "pread", "preadv", "pwrite", "pwritev", "setsid",
        "setuid", "statvfs", "sync", "umask", "uname", "wait",
    },
    "signal": {"SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "alarm"},
    "socket": {"AF_UNIX"},
}  # fmt: skip
GUARDS = ("sys.platform", "os.name", "hasattr(")


def asks(node: ast.If | ast.IfExp) -> bool:
    """Whether a branch asks for the platform."""
    return any(word in ast.unparse(node.test) for word in GUARDS)


def leaves(node: ast.stmt) -> bool:
    """Whether a block that ends in this statement never runs into the next one."""
    return isinstance(node, ast.Return | ast.Raise | ast.Continue)


def unguarded(source: str) -> list[str]:
    """Return the POSIX-only uses in a module that no enclosing `if` guards."""
    found: list[str] = []

    def visit(node: ast.AST, *, guarded: bool) -> None:
        guarded = guarded or (isinstance(node, ast.If | ast.IfExp) and asks(node))
        if not guarded:
            match node:
                case ast.Attribute(value=ast.Name(id=module), attr=name) if name in NAMES.get(
                    module, ()
                ):
                    found.append(f"line {node.lineno}: {module}.{name}")
                case ast.Import(names=names):
                    found.extend(
                        f"line {node.lineno}: import {a.name}" for a in names if a.name in MODULES
                    )
                case ast.ImportFrom(module=module) if module in MODULES:
                    found.append(f"line {node.lineno}: from {module}")
        for child in ast.iter_child_nodes(node):
            visit(child, guarded=guarded)
            if isinstance(child, ast.If) and asks(child) and leaves(child.body[-1]):
                guarded = True  # the rest of this block runs elsewhere only

    visit(ast.parse(source), guarded=False)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TOOLKIT.parent)))
def test_module_runs_on_windows(path):
    assert unguarded(path.read_text(encoding="utf-8")) == []


def test_the_check_itself_finds_an_unguarded_call():
    assert unguarded("import os\nos.geteuid()") == ["line 2: os.geteuid"]
    assert unguarded("import fcntl") == ["line 1: import fcntl"]
    assert unguarded("import os, sys\nif sys.platform != 'win32':\n    os.geteuid()") == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TOOLKIT.parent)))
def test_text_files_are_opened_with_their_encoding_named(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            keywords = {keyword.arg for keyword in node.keywords}
            if node.func.attr == "read_text":
                assert "encoding" in keywords or node.args, f"{path}: line {node.lineno}"
            if node.func.attr == "write_text":
                assert "encoding" in keywords, f"{path}: line {node.lineno}"
