"""Format, lint, types, import contracts:  python3 scripts/check.py [--fix]"""

from __future__ import annotations

import sys

import _venv


def main() -> int:
    """Run every check, also after one has failed; exit 1 if any did."""
    fix = "--fix" in sys.argv[1:]
    checks = [
        ["-m", "ruff", "format", *([] if fix else ["--check"]), "."],
        ["-m", "ruff", "check", *(["--fix"] if fix else []), "."],
        ["-m", "mypy"],
        [
            "-m",
            "mypy",
            "--platform",
            "win32",
            "--no-warn-unreachable",
            "--cache-dir",
            ".mypy_cache/win32",
        ],
        ["-c", "from importlinter.cli import lint_imports_command as c; c()"],
    ]
    failed = [" ".join(check) for check in checks if _venv.run("dev", check) != 0]
    for name in failed:
        print(f"failed: {name}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
