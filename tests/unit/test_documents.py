"""What the documents promise is what the program has."""

import re
from pathlib import Path

import pytest

from toolkit.cluster import CHECKS
from toolkit.model import Source

REPOSITORY = Path(__file__).parents[2]
FORMATS = (REPOSITORY / "docs" / "reference" / "formats.md").read_text(encoding="utf-8")
KINDS = sorted(
    {
        kind
        for path in (REPOSITORY / "toolkit" / "cli").glob("*.py")
        for kind in re.findall(
            r'(?:print_json|json_document)\(\s*"([a-z-]+)"', path.read_text(encoding="utf-8")
        )
    }
)


@pytest.mark.parametrize("source", list(Source), ids=str)
def test_every_source_of_a_log_bundle_is_documented(source):
    assert f"`{source}`" in FORMATS


@pytest.mark.parametrize("kind", KINDS)
def test_every_json_document_is_documented(kind):
    assert f"`{kind}`" in FORMATS


def test_page_of_checks_is_what_the_code_says():
    page = (REPOSITORY / "docs" / "reference" / "checks.md").read_text(encoding="utf-8")
    blocks = re.split(r"^### ", page, flags=re.MULTILINE)[1:]
    assert [block.partition("\n")[0] for block in blocks] == [check.id for check in CHECKS]
    for block, check in zip(blocks, CHECKS, strict=True):
        for text in (check.title, check.rule, check.remedy, check.source, *check.asked):
            assert text in block, f"run scripts/reference.py: {check.id}"


def test_every_dependency_has_its_reason():
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    listed = project[project.index("dependencies = [") : project.index("[project.optional")]
    reasons = (REPOSITORY / "docs" / "dependencies.md").read_text(encoding="utf-8")
    for name in re.findall(r'"([a-z0-9-]+)[>=<]', listed):
        assert f"| {name} |" in reasons, name


def test_links_between_documents_lead_somewhere():
    for page in [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_lock_file_records_no_download_addresses():
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert "index" not in lock.lower().replace("no index lines", "")
    assert "--hash=sha256:" in lock
