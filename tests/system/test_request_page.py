"""The page of a request as real programs see it: drawn and printed by a browser, read by a scanner."""

import pytest

from tests import paper
from tests.made_requests import crowded_request
from toolkit.request import from_paper, read_request, render_page, to_bytes
from toolkit.signed import open_key

needs_browser = pytest.mark.skipif(not paper.CHROMIUM, reason="no Chromium to draw the page")
needs_scanner = pytest.mark.skipif(not paper.ZBARIMG, reason="no zbarimg to scan the page")


@pytest.fixture
def key(tmp_path):
    return open_key(tmp_path / "request.key.pem")


@needs_browser
@needs_scanner
def test_several_codes_on_one_page_are_scanned_in_any_order(key, tmp_path):
    request = crowded_request(3, key)
    data = to_bytes(request, key)
    (tmp_path / "page.html").write_text(render_page(request, data, key.fingerprint), "utf-8")
    scanned = paper.scan(tmp_path / "page.html")
    assert scanned.count(b"FERRY1:") == 3
    assert from_paper(scanned) == data
    assert read_request(scanned)[0] == request


@needs_browser
@pytest.mark.parametrize(
    ("codes", "size"),
    [(1, "A4"), (1, "letter"), (2, "letter"), (3, "letter"), (6, "letter"), (6, "A4")],
)
def test_fullest_page_is_printed_on_one_sheet(key, tmp_path, codes, size):
    request = crowded_request(codes, key)
    page = render_page(request, to_bytes(request, key), key.fingerprint)
    assert page.count("<figure>") == codes
    page = page.replace("@page {", f"@page {{ size: {size};")
    (tmp_path / "page.html").write_text(page, "utf-8")
    assert paper.sheets(tmp_path / "page.html") == 1
