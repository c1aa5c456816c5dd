"""What a site asks for: `request.json`, the one file that goes home from a site. Pure.

Everything in it was measured by `ferry cluster request`, or typed in by a person where nothing may be
run; which of the two is said (`origin`). What could not be found out stands in `unknown` with its reason:
a missing answer never means "fine".

    data = to_bytes(request, open_key(site.request_key))
    request, sealed = read_request(data, file="request.json")    # or what was scanned from paper
    page = render_page(request, data, fingerprint)               # for sites that let only paper out
"""

from typing import TYPE_CHECKING

from toolkit.request._answers import ANSWERS, read_answers
from toolkit.request._document import read_request, to_bytes, unseal_request
from toolkit.request._nouns import (
    FORMAT,
    KIND,
    DiscoverySource,
    EndpointReach,
    HealthSummary,
    ListedUpdate,
    Origin,
    SiteRequest,
    VolumeSpace,
    new_request,
    sbe_state_of,
)
from toolkit.request._paper import from_paper, to_paper

if TYPE_CHECKING:
    from toolkit.request._page import PAGE_MARK, render_page

__all__ = [
    "ANSWERS",
    "FORMAT",
    "KIND",
    "PAGE_MARK",
    "DiscoverySource",
    "EndpointReach",
    "HealthSummary",
    "ListedUpdate",
    "Origin",
    "SiteRequest",
    "VolumeSpace",
    "from_paper",
    "new_request",
    "read_answers",
    "read_request",
    "render_page",
    "sbe_state_of",
    "to_bytes",
    "to_paper",
    "unseal_request",
]


def __getattr__(name: str) -> object:
    """Load the page and what draws it when somebody wants one."""
    if name not in ("PAGE_MARK", "render_page"):
        raise AttributeError(name)
    from toolkit.request import _page

    return getattr(_page, name)
