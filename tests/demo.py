"""The whole crossing against the simulated site, told step by step; started by `scripts/demo.py`.

Each line says what was done, what that proves and who proved it, how long it took and how fast. Nothing
here decides anything: every step is the real `ferry` process, and every "no" is the exit code it gave.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.stage import PASSWORD, SBE_VERSION, USER, VERSION, Result, Stage, server

FAILING_NODE = "node3"


class Story:
    """Prints the steps as they happen."""

    def __init__(self, size_mib: int) -> None:
        self.size_mib = size_mib
        self.count = 0
        self.began = time.monotonic()

    def chapter(self, title: str) -> None:
        print(f"\n{title}\n{'─' * len(title)}", flush=True)

    @contextlib.contextmanager
    def step(self, title: str, *, moves_payload: bool = False) -> Iterator[list[str]]:
        """Time one step; the block appends what was proven, and by what."""
        self.count += 1
        print(f"{self.count:2}. {title}", end=" ", flush=True)
        began = time.monotonic()
        proofs: list[str] = []
        yield proofs
        took = time.monotonic() - began
        rate = f", {self.size_mib / took:.0f} MiB/s" if moves_payload else ""
        print(f"({took:.1f} s{rate})", flush=True)
        for proof in proofs:
            print(f"      {proof}", flush=True)


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def crossing(stage: Stage, story: Story, *, smb: str) -> int:
    """Run the line of the README once; return the demo's exit code."""
    story.chapter("Somewhere else")
    with story.step(
        "Microsoft publishes a solution bundle, the hardware vendor an SBE (generated)"
    ):
        bundle = stage.publish(size_mib=story.size_mib)[0]
        stage.publish_sbe()
    with server(
        "tests.simcluster", stage / "simcluster", "--smb", smb, "--speed", "6",
        "--require-sbe", SBE_VERSION, "--fail-node", FAILING_NODE,
        environment={"SIM_USER": USER, "SIM_PASSWORD": PASSWORD},
    ) as ready:  # fmt: skip
        trust = introduce(stage, story, ready)
        fingerprint = ask(stage, story)
        story.chapter("═══ air gap: the request travels, on a stick or on paper ═══")
        set_folder = connected(stage, story, bundle, fingerprint)
        story.chapter("═══ air gap: the medium is carried ═══")
        arrived(stage, story, set_folder / "data" / "payload" / bundle.name, trust)
        return site_with_cluster(stage, story)


def introduce(stage: Stage, story: Story, ready: dict[str, object]) -> str:
    """Let home and site know each other, once for years; return the root's fingerprint."""
    story.chapter("Once: home and site come to know each other")
    with story.step("ferry trust init") as proven:
        stage.ferry("trust", "init", "--keys", "keys")
        trust = last_line(stage.ferry("trust", "fingerprint", "--keys", "keys").out)
        proven.append(f"fingerprint, to be spoken to the site: {trust}")
    with story.step("ferry site init, add-cluster") as proven:
        root = ("--root", "keys/1.root.json", "--fingerprint")
        stage.ferry("site", "init", "site", *root, "0000 " * 16, expect=3)
        proven.append("with a wrong fingerprint: refused (exit 3)")
        stage.ferry("site", "init", "site", *root, trust)
        proven.append("the root has the fingerprint that was spoken")
        stage.add_cluster(ready)
    return trust


def ask(stage: Stage, story: Story) -> str:
    """Let the site say what it needs; return the fingerprint of its key."""
    story.chapter("Disconnected site: what does it need?")
    with story.step("ferry cluster request, over WinRM/PSRP with NTLM on TLS") as proven:
        words = ("cluster", "request", "-o", "request.json", "--print", "request.html")
        asked = json.loads(stage.ferry(*words, "--json").out)["data"]
        request = asked["request"]
        proven.append(
            f"{request['cluster']}: {request['node_count']} nodes, {request['solution_version']}, "
            f"SBE {request['sbe_family']} {request['sbe_version']}, {request['hardware']['model']}"
        )
        proven.append(f"signed; the key's fingerprint, to be spoken home: {asked['fingerprint']}")
        size = (stage / "request.json").stat().st_size
        proven.append(f"{size} bytes, and one printed page with all of it in a QR code")
    return str(asked["fingerprint"])


def connected(stage: Stage, story: Story, bundle: Path, fingerprint: str) -> Path:
    """Plan, get and prove what the site needs, and write it; return the set folder."""
    story.chapter("Connected machine")
    with server(
        "tests.vendorsite", stage / "vendor-server", "--serve", str(stage / "vendor"),
        "--cut-after", str(bundle.stat().st_size // 2),
    ) as vendor:  # fmt: skip
        stage.declare([bundle], str(vendor["url"]))
        in_catalog = ("--catalog", "catalog")
        with story.step("ferry catalog plan, the site's key not known yet") as proven:
            plan = ("catalog", "plan", "request.json", "--to", VERSION, *in_catalog)
            plan = (*plan, "--sbe-manifest", "portal/SBE_Discovery_Contoso.xml")
            (stage / "catalog").mkdir()
            refused = stage.ferry(*plan, expect=3)
            proven.append("refused (exit 3): " + first_match(refused, "fingerprint"))
            known = ("--name", "plant7", "--fingerprint", fingerprint)
            stage.ferry("catalog", "know-key", "request.json", *known, *in_catalog)
        with story.step("ferry catalog plan") as proven:
            seen = stage.ferry(*plan, "--page", "plan.html").out
            told = ("plant7  ", "SBE with", "then listed", "images", "support", "medium:")
            lines = [line.strip().removeprefix("room     ") for line in seen.splitlines()]
            proven += [line for line in lines if line.startswith(told)]
        with story.step("ferry catalog add, the zip from the hardware vendor's portal") as proven:
            outer = next((stage / "portal").glob("Bundle_SBE_*.zip"))
            words = ("catalog", "add", f"portal/{outer.name}", *in_catalog)
            added = stage.ferry(*words, "--signing-ca", "portal/authority.pem", "--json")
            for held in json.loads(added.out)["data"]:
                judged = held["judgement"]
                proven.append(f"{held['name']}: {judged['verdict']}: {judged['reasons'][0][:110]}")
        with story.step(
            "ferry catalog download --plan, the line breaks at half", moves_payload=True
        ) as proven:
            words = ("catalog", "download", "--plan", "plan.json", *in_catalog)
            got = stage.ferry(*words, "--ca", str(vendor["ca_file"]))
            proven += [line for line in got.err.splitlines() if "resum" in line.lower()][:1]
            proven.append("proven: the published SHA-256, hashed while it came, and the length")
    with story.step("ferry media write --plan", moves_payload=True) as proven:
        words = ("media", "write", "--plan", "plan.json", *in_catalog)
        stage.ferry(*words, "--keys", "keys", "--to", stage.stick("medium"))
        proven.append("every archive looked into, every SBE compared with its cluster")
        proven.append("signed (TUF), flushed, read back from the device, complete.json last")
    (set_folder,) = (path for path in (stage / "medium").iterdir() if path.is_dir())
    with story.step("Without ferry: bagit.py --validate, sha256sum -c") as proven:
        proven += independent(set_folder)
    return set_folder


def arrived(stage: Stage, story: Story, bundle: Path, trust: str) -> None:
    """Prove the medium at the site."""
    story.chapter("Disconnected site")
    with story.step("ferry media verify", moves_payload=True) as proven:
        verified = stage.ferry("media", "verify", "medium", "--json")
        method = json.loads(verified.out)["data"]["read_method"]
        proven.append(f"root {trust[:9]} … → targets → every byte; how it was read: {method}")
    with story.step("ferry media verify after one flipped bit") as proven:
        flip(bundle, bundle.stat().st_size // 3)
        refused = stage.ferry("media", "verify", "medium", expect=3)
        flip(bundle, bundle.stat().st_size // 3)
        proven.append("refused (exit 3): " + first_match(refused, bundle.name))


def site_with_cluster(stage: Stage, story: Story) -> int:
    """Run the part of the line that needs the cluster."""
    with story.step("ferry cluster discover") as proven:
        proven += stage.ferry("cluster", "discover").out.strip().splitlines()[:1]
    with story.step("ferry cluster import", moves_payload=True) as proven:
        done = stage.ferry("cluster", "import", "medium", "--poll-seconds", "0.5")
        proven.append("copied over encrypted SMB 3.1.1; the node's own hash equals the signed one")
        proven.append("the update asked for the vendor's SBE; the three files were on the medium")
        proven.append(last_line(done.out))
    with story.step("ferry cluster import again") as proven:
        again = stage.ferry("cluster", "import", "medium", "--poll-seconds", "0.5")
        proven.append("nothing copied, nothing added: " + last_line(again.out))
    with story.step("ferry run prepare, watch"):
        stage.ferry("run", "prepare", VERSION)
        stage.ferry("run", "watch", VERSION, "--poll-seconds", "0.5")
    with story.step(f"ferry run start, watch; an update fails on {FAILING_NODE}") as proven:
        stage.ferry("run", "start", VERSION)
        failed = stage.ferry("run", "watch", VERSION, "--poll-seconds", "0.5", expect=1)
        proven.append("exit 1: " + first_match(failed, "the cluster says")[:180] + " …")
    with story.step("ferry run start once more, blindly") as proven:
        refused = stage.ferry("run", "start", VERSION, expect=5)
        proven.append("refused (exit 5): " + first_match(refused, "next:"))

    story.chapter("Evidence")
    with story.step("ferry logs collect") as proven:
        stage.ferry("logs", "collect", "-o", "plant7.zip")
        size = (stage / "plant7.zip").stat().st_size
        proven.append(f"both CAU logs of four nodes, reports, step trees: {size >> 10} KiB")
    with story.step("ferry logs analyse, offline") as proven:
        found = stage.ferry(
            "logs", "analyse", "plant7.zip", "--report", "plant7.html", "--json", expect=1
        )
        findings = json.loads(found.out)["data"]["findings"]
        proven.append(f"{len(findings)} findings; the first is the cause")
        proven.append("what was found stands in the site's journal")
    with story.step("ferry run start, now that the cause is known") as proven:
        refused = stage.ferry("run", "start", VERSION, expect=5)
        proven.append("refused (exit 5): " + first_match(refused, "next:"))
    total = time.monotonic() - story.began
    story.chapter(f"The finding, after {total:.0f} s")
    first = findings[0]
    print(first["title"])
    for evidence in first["evidence"][:2]:
        print(
            f"  read in {evidence['node'] or 'cluster'} {evidence['source']}: {evidence['text'][:160]}"
        )
    print(f"  cause: {first['cause']}")
    for remedy in first["remedy"]:
        print(f"  do: {remedy}")
    print(f"  may it be run again? {first['rerun_safe']}")
    print(f"  guide: {first['guide']}")
    return 0


def independent(set_folder: Path) -> list[str]:
    """Let two programs that know nothing of ferry judge the medium."""
    proofs = []
    bagit = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "bagit",
        "--validate",
        "--quiet",
        str(set_folder),
    ]
    subprocess.run(bagit, check=True, capture_output=True)
    proofs.append("BagIt: valid")
    if shutil.which("sha256sum"):
        subprocess.run(
            ["sha256sum", "--check", "--quiet", "manifest-sha256.txt"], cwd=set_folder, check=True
        )
        proofs.append("sha256sum: every payload file OK")
    return proofs


def flip(path: Path, offset: int) -> None:
    """Flip one bit of a file on the medium."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def first_match(result: Result, word: str) -> str:
    """Return the first line of what a command said that holds a word."""
    lines = [line.strip() for line in (result.out + result.err).splitlines()]
    return next((line for line in lines if word in line), lines[0] if lines else "")


def main() -> int:
    """Read the options, run the crossing, clean up unless asked to keep it."""
    parser = argparse.ArgumentParser(prog="demo.py", description=__doc__)
    parser.add_argument("--size", type=int, default=64, metavar="MIB", help="size of the bundle")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="leave everything in this new folder"
    )
    parser.add_argument("--smb", choices=("embedded", "samba"), default="embedded")
    options = parser.parse_args()
    if options.keep and options.keep.exists() and any(options.keep.iterdir()):
        print(f"{options.keep} is not empty; name a new folder", file=sys.stderr)
        return 2
    folder = (
        options.keep.resolve() if options.keep else Path(tempfile.mkdtemp(prefix="ferry-demo-"))
    )
    print(
        "Ferry: one crossing against a simulated site. It proves our side of each protocol and our"
    )
    print("errors; how a real cmdlet behaves only a real cluster can tell (docs/simulator.md).")
    code = crossing(Stage(folder), Story(options.size), smb=options.smb)
    report = folder / "plant7.html"
    if options.keep is None:
        report = Path(tempfile.gettempdir()) / "ferry-demo-report.html"
        shutil.copyfile(folder / "plant7.html", report)
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\nreport: {report}")
    return code


if __name__ == "__main__":
    os.environ.pop("REQUESTS_CA_BUNDLE", None)
    sys.exit(main())
