"""Values → one HTML page that refers to nothing outside; its template is read from the package it stands in.

Every text is escaped by the template engine; characters that HTML forbids are replaced, for texts may come
from strangers and logs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template

_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


def page_template(package: str, name: str, **filters: Callable[..., object]) -> Template:
    """Return a template that stands in a package, with filters of its own."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.finalize = _legal
    environment.filters |= filters
    text = (resources.files(package) / name).read_text(encoding="utf-8")
    return environment.from_string(text)


def _legal(value: object) -> object:
    return _ILLEGAL.sub("\ufffd", value) if type(value) is str else value
