"""What happened to the simulated cluster, counted; a JSON file, so that other processes can look."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path

_PATIENCE_S = 2.0


class Journal:
    """Counts of requests, logons and commands, written to `path` whenever one changes that matters."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        self.drops = 0
        self.smb_drops = 0
        self.smb_written_bytes = 0
        """What SMB clients sent to be written, each time they sent it."""
        self.commands: Counter[str] = Counter()
        self.logons: dict[str, Counter[str]] = {}
        """Protocol and user (`winrm alice`) → how often `accepted` and `refused`."""
        self.add_calls = 0
        """Calls of Add-SolutionUpdate that reached the update service, whatever it answered."""
        self.scripts = 0
        """Stages of pipelines that arrived as script text."""
        self._lock = threading.Lock()
        self._write()

    def count_bytes(self, received: int, sent: int) -> None:
        """Count HTTP bodies."""
        with self._lock:
            self.received_bytes += received
            self.sent_bytes += sent

    def count_request(self) -> int:
        """Count one SOAP request; return its number."""
        with self._lock:
            self.requests += 1
            return self.requests

    def count_command(self, name: str) -> None:
        """Count a command that was found and started."""
        with self._lock:
            self.commands[name] += 1
            self._write()

    def count_add(self) -> None:
        """Count an Add-SolutionUpdate."""
        with self._lock:
            self.add_calls += 1
            self._write()

    def count_script(self) -> None:
        """Count script text that arrived; it is refused."""
        with self._lock:
            self.scripts += 1
            self._write()

    def count_drop(self) -> None:
        """Count a connection cut by a fault."""
        with self._lock:
            self.drops += 1
            self._write()

    def count_smb_written(self, size_bytes: int) -> None:
        """Count bytes of a WRITE; the file says so with the next thing that matters."""
        with self._lock:
            self.smb_written_bytes += size_bytes

    def count_smb_drop(self) -> None:
        """Count an SMB connection cut by a fault."""
        with self._lock:
            self.smb_drops += 1
            self._write()

    def count_logon(self, protocol: str, user: str, *, accepted: bool) -> None:
        """Count one attempt to authenticate."""
        with self._lock:
            tally = self.logons.setdefault(f"{protocol} {user}", Counter())
            tally["accepted" if accepted else "refused"] += 1
            self._write()

    def flush(self) -> None:
        """Write the file now."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        text = json.dumps(
            {
                "requests": self.requests,
                "received_bytes": self.received_bytes,
                "sent_bytes": self.sent_bytes,
                "drops": self.drops,
                "smb_drops": self.smb_drops,
                "smb_written_bytes": self.smb_written_bytes,
                "add_calls": self.add_calls,
                "scripts": self.scripts,
                "commands": self.commands,
                "logons": self.logons,
            },
            indent=1,
        )
        beside = self.path.with_suffix(".new")
        beside.write_text(text, encoding="utf-8")
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                beside.replace(self.path)
            except PermissionError:  # on Windows, while somebody reads it
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)
            else:
                return
