"""A plan as text: one page for a tired person at a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from toolkit.catalog._issues import Bearing
from toolkit.catalog._plan import ClusterPlan, Hop, Plan
from toolkit.catalog._space import Room, SpaceNeed, at_least
from toolkit.model import human_size


def plan_text(plan: Plan) -> str:
    """Return the summary of a plan; the page holds the rest."""
    return "\n".join(line.replace("\n", " ") for line in _lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    yield from _marked(plan.warnings)
    for cluster in plan.clusters:
        yield ""
        yield from _cluster(cluster)
    if plan.payloads:
        yield ""
        yield "to carry"
        for item in plan.payloads:
            size = "size not known" if item.size_bytes is None else human_size(item.size_bytes)
            state = "held" if item.is_held else "to get"
            yield f"  {size:>14}  {state:6}  {item.name}  for {', '.join(item.clusters)}"
        yield from _room((plan.home, plan.medium))


def _cluster(cluster: ClusterPlan) -> Iterator[str]:
    way = f"→ {cluster.goal}" if cluster.hops else f"({cluster.note})"
    yield f"{cluster.cluster}  {cluster.start} {way}"
    yield f"  request  {cluster.request_id}, signed by {cluster.signed_by}"
    yield from _marked(cluster.warnings)
    for number, hop in enumerate(cluster.hops, 1):
        yield from _hop(number, hop)
    if cluster.lacking is None:
        return
    yield from _room(cluster.space)
    yield f"  images   {cluster.lacking.supply}"
    yield from (f"           - {step}" for step in cluster.lacking.steps)
    yield f"  support  {cluster.support_then.text}"
    near = [item for item in cluster.issues if item.bearing in (Bearing.SEEN, Bearing.FITS)]
    for issue in near:
        yield f"  issue    {issue.title}{f' ({issue.why})' if issue.why else ''}"
    may_fit = sum(item.bearing is Bearing.OPEN for item in cluster.issues)
    general = len(cluster.issues) - len(near) - may_fit
    yield (
        f"           {may_fit} more may fit this site, {general} can happen with every update;"
        " what to do about each: --page"
    )


def _hop(number: int, hop: Hop) -> Iterator[str]:
    yield f"  {number}. {hop.version}{'' if hop.is_carried else '  [not carried]'}"
    if hop.opt_in:
        yield f"     first: {hop.opt_in}"
    for need in hop.sbes:
        state = " (installed)" if need.is_installed else " (required)" if need.is_required else ""
        yield f"     SBE {need.moment}: {need.title or 'none is known'}{state}"
    for row in hop.predicted:
        name = (
            row.version if row.package_type == "Solution" else f"{row.package_type} {row.version}"
        )
        yield f"     then listed: {name} {' or '.join(row.states)} ({row.confidence})"


def _room(needs: Iterable[SpaceNeed]) -> Iterator[str]:
    enough = []
    for need in needs:
        if need.room is Room.ENOUGH:
            enough.append(need.place)
            continue
        free = "not known" if need.free_bytes is None else human_size(need.free_bytes)
        yield f"  room     {need.place}: {at_least(need)} needed, {free} free: {need.room}"
    if enough:
        yield f"  room     enough: {', '.join(enough)}"


def _marked(warnings: Iterable[str]) -> Iterator[str]:
    return (f"  ! {text}" for text in warnings)
