"""A strict reading of YAML in which every value knows its file, key and line.

Only mappings, lists and texts exist here: a scalar is its text, so `12.10` is no float, `2026-03-17`
no time stamp and `no` no boolean. Unknown, missing and repeated keys are refused with their place, and
so are aliases, which can make a small file unfold without end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

import yaml

from toolkit.errors import InputError, misread

T = TypeVar("T")

LIMIT_BYTES = 1 << 20
"""What people write is a page of text; anything larger is not that."""

_DEEPEST = 20
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C one is ten times faster; both compose the same nodes."""


@dataclass(frozen=True, slots=True)
class Value:
    """One YAML value and where it stands."""

    node: yaml.Node
    key: str
    file: str | None
    what: str = "manifest"
    """What is being read, for error messages."""

    def refuse(self, *, found: str, expected: str, hint: str | None = None) -> InputError:
        """Return the error that names this value's place."""
        line = _line(self.node.start_mark.line)
        return InputError(
            f"read {self.what}",
            file=self.file,
            place=f"{self.key}, {line}" if self.key else line,
            found=found,
            expected=expected,
            hint=hint or "correct the file at this place",
        )

    def says(self, *texts: str) -> bool:
        """Whether one of these lower-case texts stands here, in any case; "" is nothing at all."""
        return (
            isinstance(self.node, yaml.ScalarNode) and str(self.node.value).strip().lower() in texts
        )

    def text(self) -> str:
        """Return a scalar's text.

        Raises:
            InputError: A list or mapping stands here, or nothing.
        """
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.refuse(found=_kind(self.node), expected="a text")
        text = str(self.node.value).strip()
        if not text:
            raise self.refuse(found="nothing", expected="a text")
        if not all(letter.isprintable() or letter == "\n" for letter in text):
            raise self.refuse(found="a control character", expected="printable text")
        return text

    def parse(self, read: Callable[[str], T], expected: str) -> T:
        """Return the text as `read` understands it.

        Raises:
            InputError: `read` raises `ValueError`.
        """
        text = self.text()
        try:
            return read(text)
        except ValueError as error:
            raise self.refuse(found=repr(text), expected=expected) from error

    def items(self) -> tuple[Value, ...]:
        """Return a list's values.

        Raises:
            InputError: No list stands here.
        """
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.refuse(found=_kind(self.node), expected="a list")
        return tuple(
            Value(item, f"{self.key}[{index}]", self.file, self.what)
            for index, item in enumerate(self.node.value)
        )

    def mapping(self) -> dict[str, Value]:
        """Return a mapping's values by key.

        Raises:
            InputError: No mapping stands here, or a key is repeated or not a text.
        """
        if not isinstance(self.node, yaml.MappingNode):
            raise self.refuse(found=_kind(self.node), expected="keys with values")
        values: dict[str, Value] = {}
        for key_node, node in self.node.value:
            key = Value(key_node, self.key, self.file, self.what).text()
            place = Value(node, f"{self.key}.{key}" if self.key else key, self.file, self.what)
            if key in values:
                raise place.refuse(found=f"the key {key!r} again", expected="each key once")
            values[key] = place
        return values

    def record(self, required: Collection[str], optional: Collection[str] = ()) -> dict[str, Value]:
        """Return a mapping that has all of `required` and nothing beyond `optional`.

        Raises:
            InputError: A key is missing, unknown or repeated.
        """
        values = self.mapping()
        for key, value in values.items():
            if key not in required and key not in optional:
                known = ", ".join([*required, *optional])
                raise value.refuse(found=f"the unknown key {key!r}", expected=f"one of {known}")
        for key in required:
            if key not in values:
                raise self.refuse(found=f"no key {key!r}", expected=", ".join(required))
        return values


def read_yaml(data: bytes, *, file: str | None, what: str = "manifest") -> Value:
    """Return the one document in `data`.

    Args:
        data: The document.
        file: Its name, for error messages.
        what: What is being read, for error messages.

    Raises:
        InputError: Not UTF-8, not YAML, empty, too large, or with aliases.
    """

    def refuse(place: str | None, found: str) -> InputError:
        return InputError(
            f"read {what}",
            file=file,
            place=place,
            found=found,
            expected="one YAML document in UTF-8",
            hint="correct the file at this place",
        )

    if len(data) > LIMIT_BYTES:
        raise refuse(None, f"{len(data)} bytes, more than {LIMIT_BYTES}")
    try:
        text = data.decode("utf-8")
        depth = 0
        for event in yaml.parse(text, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise refuse(None, f"lists in lists, more than {_DEEPEST} deep")
            if isinstance(event, yaml.AliasEvent):
                raise refuse(None, f"the alias *{event.anchor}")
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise refuse(_line(mark.line) if mark else None, error.problem or "not YAML") from error
    except yaml.YAMLError as error:
        raise refuse(None, str(error).splitlines()[0] if str(error) else "not YAML") from error
    except (ValueError, OverflowError, RecursionError) as error:
        raise refuse(None, misread(error)) from error
    if node is None:
        raise refuse(None, "nothing")
    return Value(node, "", file, what)


def require_format(value: Value, known: int) -> None:
    """Check the `format` of a document.

    Raises:
        InputError: Another format than the one this program knows.
    """
    if value.text() != str(known):
        raise value.refuse(
            found=value.text(), expected=str(known), hint="use a ferry that knows this format"
        )


def _line(zero_based: int) -> str:
    return f"line {zero_based + 1}"


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return "a text"
    return "a list" if isinstance(node, yaml.SequenceNode) else "keys with values"
