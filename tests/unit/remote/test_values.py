"""CLIXML as a node writes it, and the plain values it must become."""

import xml.etree.ElementTree as ET

import pytest
from pypsrp.serializer import Serializer

from toolkit.errors import InputError
from toolkit.remote._values import plain, wire

ENUM = """<Obj RefId="1"><TN RefId="1"><T>Microsoft.AzureStack.UpdateState</T><T>System.Enum</T>
<T>System.ValueType</T><T>System.Object</T></TN><ToString>Installed</ToString><I32>7</I32></Obj>"""


def obj(inside: str, types: str = "System.Object") -> str:
    return f'<Obj RefId="0"><TN RefId="0"><T>{types}</T></TN>{inside}</Obj>'


def test_time_that_a_cmdlet_added_a_property_to_is_its_text():
    """As `Get-Date` sends it."""
    hint = (
        '<Obj N="DisplayHint" RefId="1"><TN RefId="0">'
        "<T>Microsoft.PowerShell.Commands.DisplayHintType</T><T>System.Enum</T></TN>"
        "<ToString>DateTime</ToString><I32>2</I32></Obj>"
    )
    at = "2026-11-26T13:00:10.1234567+01:00"
    assert plain(f'<Obj RefId="0"><DT>{at}</DT><MS>{hint}</MS></Obj>') == at


@pytest.mark.parametrize(
    ("xml", "value"),
    [
        ("<S>text</S>", "text"),
        ("<S />", ""),
        ("<Nil />", None),
        ("<B>true</B>", True),
        ("<B>false</B>", False),
        ("<I32>-5</I32>", -5),
        ("<U64>18446744073709551615</U64>", 18446744073709551615),
        ("<Db>1.5</Db>", 1.5),
        ("<C>65</C>", "A"),
        ("<BA>AAEC</BA>", b"\x00\x01\x02"),
        ("<DT>2026-04-08T10:11:12.1234567Z</DT>", "2026-04-08T10:11:12.1234567Z"),
        ("<TS>PT9.0269026S</TS>", "PT9.0269026S"),
        ("<Version>12.2604.1003.9</Version>", "12.2604.1003.9"),
        ("<G>4e4e0fc7-d3f5-4f4a-8ea0-5aa2bcf9a3a3</G>", "4e4e0fc7-d3f5-4f4a-8ea0-5aa2bcf9a3a3"),
        ("<D>1.10</D>", "1.10"),
    ],
)
def test_primitive_becomes_its_plain_value(xml, value):
    read = plain(xml)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("wired", "text"),
    [
        ("a_x000A_b", "a\nb"),
        ("_xD83D__xDE00_", "\N{GRINNING FACE}"),
        ("_x005F_x000A_", "_x000A_"),
        ("_xZZZZ_", "_xZZZZ_"),
    ],
)
def test_escaped_characters_are_restored(wired, text):
    assert plain(f"<S>{wired}</S>") == text


def test_enumeration_object_becomes_its_name():
    assert plain(ENUM) == "Installed"


def test_enumeration_sent_as_string_gives_the_same_value():
    named = ENUM.replace("<Obj ", '<Obj N="State" ', 1)
    as_object = plain(obj(f"<MS>{named}</MS>"))
    as_string = plain(obj('<MS><S N="State">Installed</S></MS>'))
    assert as_object == as_string == {"State": "Installed"}


def test_enumeration_whose_type_is_a_reference_becomes_its_name():
    second = """<Obj RefId="2"><TNRef RefId="1" /><ToString>Ready</ToString><I32>3</I32></Obj>"""
    assert plain(obj(f"<LST>{ENUM}{second}</LST>")) == ["Installed", "Ready"]


def test_number_with_notes_stays_a_number():
    xml = obj('<I32>3</I32><ToString>3</ToString><MS><S N="PSPath">x</S></MS>', "System.Int32")
    assert plain(xml) == 3


def test_string_with_notes_stays_a_string():
    assert plain(obj('<S>line</S><MS><S N="PSPath">C:\\x</S></MS>', "System.String")) == "line"


def test_adapted_and_added_properties_come_together():
    xml = obj('<ToString>x</ToString><Props><S N="A">1</S></Props><MS><S N="B">2</S></MS>')
    assert plain(xml) == {"A": "1", "B": "2"}


def test_added_property_hides_the_adapted_one_of_its_name():
    xml = obj('<MS><S N="State">new</S></MS><Props><S N="State">old</S></Props>')
    assert plain(xml) == {"State": "new"}


@pytest.mark.parametrize("tag", ["LST", "IE", "STK", "QUE"])
def test_every_kind_of_collection_becomes_a_list(tag):
    types = "System.Collections.Generic.List`1[[Microsoft.HealthCheckResult, Microsoft.X]]"
    assert plain(obj(f"<{tag}><I32>1</I32><S>b</S></{tag}>", types)) == [1, "b"]


def test_list_of_an_unknown_element_type_keeps_its_objects():
    item = obj('<Props><S N="Severity">Critical</S></Props>').replace('RefId="0"', 'RefId="5"')
    types = "System.Collections.Generic.List`1[[Microsoft.HealthCheckResult, Microsoft.X]]"
    assert plain(obj(f"<LST>{item}</LST>", types)) == [{"Severity": "Critical"}]


def test_dictionary_of_any_type_becomes_a_dict_with_text_keys():
    entry = '<En><I32 N="Key">1</I32><S N="Value">one</S></En>'
    types = "System.Collections.Specialized.OrderedDictionary"
    assert plain(obj(f"<DCT>{entry}</DCT>", types)) == {"1": "one"}


def test_object_without_properties_is_its_own_text():
    assert plain(obj("<ToString>Microsoft.HealthCheckResult</ToString>")) == (
        "Microsoft.HealthCheckResult"
    )


def test_object_with_nothing_at_all_is_empty():
    assert plain(obj("")) == {}


def test_reference_repeats_the_value():
    inner = '<Obj N="A" RefId="9"><MS><I32 N="n">1</I32></MS></Obj><Ref N="B" RefId="9" />'
    assert plain(obj(f"<MS>{inner}</MS>")) == {"A": {"n": 1}, "B": {"n": 1}}


def test_object_that_contains_itself_ends():
    assert plain(obj('<MS><Ref N="Self" RefId="0" /></MS>')) == {"Self": None}


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "not xml",
        "<Obj RefId='0'>",
        "<I32>many</I32>",
        "<BA>%%%</BA>",
        "<C>99999999999999999999</C>",
        "<Unknown />",
        '<Ref RefId="7" />',
        '<Obj RefId="0"><TNRef RefId="3" /></Obj>',
        '<Obj RefId="0"><DCT><En><S N="Key">k</S></En></DCT></Obj>',
        '<Obj RefId="0"><MS><S>nameless</S></MS></Obj>',
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><S>&a;</S>',
        "<Obj><LST>" * 200 + "</LST></Obj>" * 200,
    ],
)
def test_what_is_not_clixml_is_refused_as_input(xml):
    with pytest.raises(InputError):
        plain(xml)


def sent(value: object) -> str:
    return ET.tostring(Serializer().serialize(wire(value)), encoding="unicode")


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        (5, "I32"),
        (-(1 << 31), "I32"),
        (1 << 31, "I64"),
        (14_000_000_000, "I64"),
        (0.1, "Db"),
        (True, "B"),
        ("x", "S"),
        (b"\x00", "BA"),
        (None, "Nil"),
    ],
)
def test_parameter_value_is_sent_as_the_type_that_holds_it(value, tag):
    assert sent(value).startswith(f"<{tag}")


def test_number_wider_than_64_bits_is_refused():
    with pytest.raises(InputError):
        wire(1 << 63)


@pytest.mark.parametrize(
    "value",
    [
        'it\'s "quoted" $(hostname); `n _x000A_ \N{GRINNING FACE}\r\n\t',
        14_000_000_000,
        0.1,
        b"\x00\xff",
        ["a", 1, None, [True]],
        {"LogName": "System", "Level": [1, 2]},
    ],
)
def test_parameter_value_survives_the_way_there(value):
    assert plain(sent(value)) == value
