"""Real readers of printed pages: a browser that draws them and a scanner of QR codes."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ZBARIMG = shutil.which("zbarimg")

_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def _browse(*words: str) -> None:
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        subprocess.run(
            [CHROMIUM, *_QUIET, f"--user-data-dir={profile}", *words],
            check=True,
            capture_output=True,
            timeout=120,
        )


def scan(page: Path) -> bytes:
    """Return what a scanner reads from the codes of a page, as it comes on the screen."""
    picture = page.with_suffix(".png")
    _browse(
        f"--screenshot={picture}",
        "--window-size=900,1200",
        "--force-device-scale-factor=2",
        page.as_uri(),
    )
    assert ZBARIMG is not None
    done = subprocess.run([ZBARIMG, "-q", picture], check=True, capture_output=True, timeout=60)
    return done.stdout


def sheets(page: Path) -> int:
    """Return how many sheets a page takes when it is printed (on Letter, the shorter paper)."""
    printed = page.with_suffix(".pdf")
    _browse(f"--print-to-pdf={printed}", "--no-pdf-header-footer", page.as_uri())
    return len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))
