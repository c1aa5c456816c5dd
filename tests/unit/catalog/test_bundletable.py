"""The published table, in every layout it has had, and what goes wrong in it."""

from __future__ import annotations

from datetime import date

import pytest

from tests.data import bundle_pages as pages
from toolkit.catalog import _pagetables
from toolkit.catalog._bundletable import read_bundle_page
from toolkit.errors import InputError

ROWS = pages.shipped_rows()
V = "12.2603.1002.15"
URL = f"{pages.HOST}/CombinedSolutionBundle/{V}/CombinedSolutionBundle.{V}.zip"
HASH = "77063963B992A2B5736C871961972AF617F43C3A4C795B6F4F3DDB05AECFB1FC"
TOP = "| OS Build | Download URI | SHA256 |\n|--|--|--|\n"


def read(text):
    return read_bundle_page(text.encode())


def read_row(cells):
    (row,) = read(TOP + cells + "\n").rows
    return row


def read_problem(cells):
    page = read(f"{TOP}{cells}\n| 26100.32522 | [{V}]({URL}) | {HASH} |\n")
    assert [str(row.version) for row in page.rows] == [V]
    (problem,) = page.problems
    return problem


@pytest.mark.parametrize("layout", pages.LAYOUTS, ids=lambda layout: layout.__name__)
def test_every_fact_is_read_in_every_layout(layout):
    page = read_bundle_page(layout(ROWS))
    found = {str(row.version): row for row in page.rows}
    assert not page.problems
    assert len(page.rows) == len(ROWS)
    for row in ROWS:
        read = found[row.version]
        assert read.url == row.url
        assert read.sha256 == row.sha256.lower()
        assert str(read.available_on) == row.available_on
        assert read.os_build == ("" if layout is pages.no_os_column else row.os_build)


@pytest.mark.parametrize("layout", pages.WITH_NOTES, ids=lambda layout: layout.__name__)
def test_what_is_no_value_is_the_note(layout):
    page = read_bundle_page(layout(ROWS))
    notes = {str(row.version): row.note for row in page.rows}
    assert notes == {row.version: row.note for row in ROWS}


@pytest.mark.parametrize("layout", pages.LAYOUTS, ids=lambda layout: layout.__name__)
def test_the_page_says_of_which_day_it_is(layout):
    assert read_bundle_page(layout(ROWS)).revised_on == date(2026, 3, 23)


def test_a_rendered_page_says_where_it_stands():
    assert read_bundle_page(pages.rendered_notes(ROWS)).address.endswith(f"/update/{pages.NAME}")


def test_a_row_names_its_line():
    text = f"# Bundles\n\n{TOP}| 26100.32522 | [{V}]({URL}) | {HASH} |\n"
    assert read(text).rows[0].place == "line 5"


def test_a_rendered_row_names_its_line():
    text = f"<table>\n<tr><th>SHA256</th></tr>\n<tr><td><a href='{URL}'>{V}</a></td><td>{HASH}</td></tr>"
    assert read(text).rows[0].place == "line 3"


@pytest.mark.parametrize(
    "published", [pages.PLACEHOLDER, pages.TWO_TOO_MANY, "7706", HASH[:40], HASH.replace("7", "O")]
)
def test_a_malformed_hash_is_kept_as_published(published):
    wanted = "" if len(published) < 8 else published.lower()  # four digits are no hash cut off
    assert read_row(f"| 26100.32522 | [{V}]({URL}) | {published} |").sha256 == wanted


def test_a_row_that_has_no_hash_yet_is_a_row():
    row = read_row(f"| 26100.32522 | [{V}]({URL}) | Coming soon |")
    assert (row.sha256, row.note) == ("", "Coming soon")


def test_a_row_with_cells_in_another_order_is_understood():
    row = read_row(f"| {HASH} | 26100.32522 | [{V}]({URL}) |")
    assert (row.sha256, row.os_build, row.url) == (HASH.lower(), "26100.32522", URL)


def test_a_row_with_a_cell_too_few_is_understood():
    row = read_row(f"| [{V}]({URL}) | {HASH} |")
    assert (row.sha256, row.os_build) == (HASH.lower(), "")


def test_a_version_that_is_named_in_a_note_is_not_the_rows_version():
    row = read_row(f"| 26100.32522 | [{V}]({URL}) | {HASH}<br>Only from 12.2509.1001.22 on |")
    assert str(row.version) == V


def test_a_link_without_a_version_takes_it_from_its_address():
    assert str(read_row(f"| 26100.32522 | [Download]({URL}) | {HASH} |").version) == V


def test_a_link_that_hides_the_address_takes_the_version_from_its_text():
    row = read_row(f"| 26100.32522 | [{V}](https://go.example/fwlink?id=7) | {HASH} |")
    assert (str(row.version), row.url) == (V, "https://go.example/fwlink?id=7")


@pytest.mark.parametrize("link", ["<a href='{0}'>{1}</a>", "{1} <{0}>", "{1} {0}"])
def test_addresses_are_found_in_other_forms_of_links(link):
    row = read_row(f"| 26100.32522 | {link.format(URL, V)} | {HASH} |")
    assert (str(row.version), row.url) == (V, URL)


def test_invisible_characters_do_not_break_a_hash():
    row = read_row(f"| 26100.32522 | [{V}]({URL}) | {HASH[:32]}\u200b{HASH[32:]} |")
    assert row.sha256 == HASH.lower()


def test_a_date_that_is_none_is_not_guessed():
    row = read_row(
        f"| 26100.32522 | [{V}]({URL}) <br> Availability date: <br> 2026-02-31 | {HASH} |"
    )
    assert row.available_on is None


def test_a_date_in_a_note_is_not_the_availability():
    row = read_row(f"| 26100.32522 | [{V}]({URL}) | {HASH}<br>Replaced on 2026-04-01 by another |")
    assert row.available_on is None


def test_an_os_build_with_its_first_numbers_is_read():
    assert read_row(f"| 10.0.26100.32522 | [{V}]({URL}) | {HASH} |").os_build == "26100.32522"


def test_a_row_that_is_not_closed_ends_at_the_next_one():
    other = f"| 26100.32370 | [12.2602.1002.501]({URL.replace(V, '12.2602.1002.501')}) | {HASH} |"
    page = read(f"{TOP}| 26100.32522 | [{V}]({URL}) | {HASH}\n{other}\n")
    assert [str(row.version) for row in page.rows] == [V, "12.2602.1002.501"]
    assert not page.problems


@pytest.mark.parametrize("day", ["99/99/2026", "soon", "2026-02-31"])
def test_a_day_of_the_page_that_is_none_is_not_guessed(day):
    data = pages.one_table(ROWS).replace(b"03/23/2026", day.encode())
    assert read_bundle_page(data).revised_on is None


# --- rows that cannot be understood ---------------------------------------------------------------


def test_a_row_whose_text_and_address_disagree_is_a_problem_with_its_place():
    problem = read_problem(f"| 26100.32522 | [12.2602.1002.501]({URL}) | {HASH} |")
    assert problem.place == "line 3"
    assert "12.2602.1002.501" in problem.found
    assert V in problem.found


def test_a_row_without_a_link_is_a_problem():
    assert "no link" in read_problem(f"| 26100.32522 | {V} | {HASH} |").found


def test_a_row_with_two_hashes_is_a_problem():
    other = HASH.replace("7", "8")
    assert other in read_problem(f"| 26100.32522 | [{V}]({URL}) | {HASH}<br>{other} |").found


def test_a_row_with_two_addresses_is_a_problem():
    other = URL.replace("https://azure", "https://mirror.azure")
    assert other in read_problem(f"| 1 | [{V}]({URL}) [{V}]({other}) | {HASH} |").found


def test_a_row_with_a_version_that_has_no_month_is_a_problem():
    address = URL.replace("2603", "2613")
    assert "no solution version" in read_problem(f"| 1 | [x]({address}) | {HASH} |").found


def test_a_row_without_pipes_that_names_a_version_is_not_lost():
    page = read(
        f"{TOP}| 26100.32522 | [{V}]({URL}) | {HASH} |\n26100.6899 12.2510.1002.94 forgot its pipes\n"
    )
    assert [problem.place for problem in page.problems] == ["line 4"]


# --- what is no row -------------------------------------------------------------------------------


def test_rows_in_comments_are_counted_and_not_read():
    hidden = f"<!--\n{TOP}| 25398.1551 | [11.2504.1001.19](x) | {pages.PLACEHOLDER} |\n-->\n"
    page = read(f"{hidden}{TOP}| 26100.32522 | [{V}]({URL}) | {HASH} |\n")
    assert (len(page.rows), page.commented_rows) == (1, 1)
    assert page.rows[0].place == "line 8"


def test_rows_in_comments_of_a_rendered_page_are_counted():
    row = f"<tr><td><a href='{URL}'>{V}</a></td><td>{HASH}</td></tr>"
    page = read(f"<table><tr><th>SHA256</th></tr>{row}<!--{row}{row}--></table>")
    assert (len(page.rows), page.commented_rows) == (1, 2)


def test_a_comment_without_an_end_hides_the_rest_and_is_counted():
    row = f"| 26100.32522 | [{V}]({URL}) | {HASH} |\n"
    page = read(f"{TOP}{row}<!-- {row}")
    assert (len(page.rows), page.commented_rows) == (1, 1)


def test_code_blocks_hold_no_tables():
    row = f"| 26100.32522 | [{V}]({URL}) | {HASH} |\n"
    page = read(f"```\n{TOP}{row}```\n\n{TOP}{row}")
    assert [item.place for item in page.rows] == ["line 9"]


def test_tables_about_other_things_are_left_alone():
    other = "| Parameter | Meaning |\n|--|--|\n| -SourceFolder | where 12.2603.1002.15 lies |\n\n"
    page = read(f"{other}{TOP}| 26100.32522 | [{V}]({URL}) | {HASH} |\n")
    assert (len(page.rows), page.problems) == (1, ())


def test_blank_rows_and_repeated_headings_are_no_rows():
    row = f"| 26100.32522 | [{V}]({URL}) | {HASH} |\n"
    page = read(f"{TOP}{row}| | | |\n| OS Build | Download URI | SHA256 |\n{row}")
    assert (len(page.rows), page.problems) == (2, ())


def test_a_table_in_a_quotation_is_read():
    row = f"> | 26100.32522 | [{V}]({URL}) | {HASH} |\n"
    page = read("> | OS Build | Download URI | SHA256 |\n> |--|--|--|\n" + row)
    assert len(page.rows) == 1


def test_an_html_table_inside_markdown_is_read():
    table = pages.rendered_notes(ROWS).decode()
    table = table[table.index("<table>\n") : table.index("</table>") + 8]
    assert len(read(f"# Bundles\n\n{table}\n\nText.\n").rows) == len(ROWS)


# --- pages that are none --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"\x00\xff\xfe", b"# Bundles\n\nNothing here.\n", b"<html><p>Moved</p></html>"]
)
def test_a_page_without_a_table_says_what_was_expected(data):
    with pytest.raises(InputError, match="SHA256"):
        read_bundle_page(data, file="page.md")


def test_a_page_with_commented_rows_only_says_how_many():
    row = f"| 26100.32522 | [{V}]({URL}) | {HASH} |"
    with pytest.raises(InputError, match=r"1 row\(s\) commented out"):
        read(f"<!--\n{TOP}{row}\n-->")


def test_a_page_in_utf_16_is_read():
    text = f"{TOP}| 26100.32522 | [{V}]({URL}) | {HASH} |\n"
    assert len(read_bundle_page(text.encode("utf-16")).rows) == 1


def test_a_page_with_windows_line_ends_is_read():
    text = f"{TOP}| 26100.32522 | [{V}]({URL}) | {HASH} |\n".replace("\n", "\r\n")
    assert read(text).rows[0].sha256 == HASH.lower()


@pytest.mark.parametrize(
    "data",
    [
        b"x" * (_pagetables.LIMIT_BYTES + 1),
        b"|a|\n" * 50_000,
        b"|" * 60_000,
        b"\n" * 100_001,
        b"<table><tr>" + b"<td>" * 60_000,
        b"<table>" * 60_000,
        b"|" + b"[a](b)" * 60_000,
    ],
    ids=["bytes", "rows", "cells", "lines", "html-cells", "html-tables", "links"],
)
def test_a_page_that_is_too_much_is_refused(data):
    with pytest.raises(InputError):
        read_bundle_page(data)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece",
    [
        "<a ",
        "<!",
        "</",
        "<td x='",
        "&#",
        "[",
        "[a](",
        "-",
        "<table a='b' ",
        "http://",
        "| ",
        "a=",
        " ",
    ],
)
def test_a_page_of_nothing_but_unfinished_pieces_ends_soon(piece):
    data = f"<table><tr><td>{piece * (1_000_000 // len(piece))}".encode()
    with pytest.raises(InputError):
        read_bundle_page(data)
    with pytest.raises(InputError):
        read_bundle_page(f"|a|\n|-|\n|{data.decode()}".encode())
