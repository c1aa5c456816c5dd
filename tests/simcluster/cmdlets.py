"""Every command a simulated node knows."""

from __future__ import annotations

from tests.simcluster import (
    actionplancmdlets,
    clustercmdlets,
    filecmdlets,
    generic,
    netcmdlets,
    nodecmdlets,
    outsidecmdlets,
    readycmdlets,
    runcmdlets,
    settingscmdlets,
    tar,
    updatecmdlets,
    wevtutil,
)
from tests.simcluster.pipeline import Library

LIBRARY = Library()
for _part in (
    generic,
    filecmdlets,
    nodecmdlets,
    netcmdlets,
    outsidecmdlets,
    tar,
    wevtutil,
    updatecmdlets,
    clustercmdlets,
    readycmdlets,
    settingscmdlets,
    runcmdlets,
    actionplancmdlets,
):
    LIBRARY.include(_part.LIBRARY)
