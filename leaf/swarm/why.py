"""Why one download waits or is slow: causes that are measured here, the weightiest first.

Invariant: every state has a cause, so that a download never waits without a reason that is shown.
A view: nothing is changed. What the parent and other downloads have to do with it is added by
`leaf.downloads.whys`.
"""

from common.ids import node_text
from leaf.reasons import Cause, Counts, SourceRow
from leaf.swarm.download import GONE_REASON, Download, State
from leaf.swarm.fetch import Fetch
from leaf.swarm.source import Phase, Source


def causes_of(download: Download, now: float) -> list[Cause]:
    """Why it is where it is; at least one cause."""
    record, state, fetch = download.record, download.state, download.fetch
    if state is State.DONE:
        there = "it is there and can be served" if download.can_be_served else GONE_REASON
        return [Cause("done", record.reason or there)]
    if state is State.FAILED:
        return [Cause("failed", f"{record.reason.removesuffix('.')}; `leaf resume` tries again")]
    if state is State.PAUSED:
        return [_rest(download, now)]
    if state is State.FINISHING:
        return [Cause("finishing", "all of it is here: the disk checks it and gives it its name")]
    if state is State.QUEUED:
        return [Cause("turn", "other downloads go first")]
    if fetch is None:
        return [Cause("opening", "the disk opens the partial file")]
    return [*_of_disk(fetch), *_of_flow(fetch, now), *_of_sources(fetch, now)] or [_ASKED]


def counts_of(download: Download) -> Counts:
    """Its sources by what keeps them."""
    fetch = download.fetch
    if fetch is None:
        return Counts(known=len(download.contacts))
    linked = fetch.sources.linked
    return Counts(
        known=len(fetch.sources.contacts),
        linked=len(linked),
        dialling=sum(each.phase is Phase.DIALLING for each in fetch.sources),
        choking=sum(each.shown and each.choking for each in linked),
        useless=sum(fetch.requests.has_nothing(each) for each in linked),
        snubbed=sum(each.snubs > 0 for each in linked),
        banned=len(fetch.sources.liars),
    )


def sources_of(download: Download, now: float) -> list[SourceRow]:
    """Each source, those that send most first."""
    fetch = download.fetch
    if fetch is None:
        return [
            SourceRow(node_text(each.node), str(each.address), Phase.KNOWN.value, "not asked now")
            for each in download.contacts
        ]
    rows = [_row(fetch, each, now) for each in fetch.sources]
    order = [Phase.LINKED.value, Phase.DIALLING.value, Phase.KNOWN.value]
    return sorted(rows, key=lambda row: (order.index(row.phase), -row.rate, row.next_try_s or 0.0))


def _rest(download: Download, now: float) -> Cause:
    """Why a paused one is."""
    at, reason = download.retried_at, download.record.reason
    if at is None:
        return Cause("paused", reason or "it was paused; `leaf resume` goes on with it")
    cause = "disk_full" if download.is_short_of_space else "disk"
    return Cause(cause, reason, next_try_s=left_s(at, now))


# --- while it fetches -----------------------------------------------------------------------


_ASKED = Cause("asked", "all that can be asked for is asked for")


def _of_disk(fetch: Fetch) -> list[Cause]:
    """What came waits to be stored, and nothing more may be asked for meanwhile."""
    requests = fetch.requests
    owed = sum(each.owed_bytes for each in fetch.sources)
    if requests.writing_bytes > owed and requests.writing_bytes + owed >= requests.bytes_max:
        return [Cause("disk", "the disk is slower than the sources", requests.writing_bytes)]
    return []


def _of_flow(fetch: Fetch, now: float) -> list[Cause]:
    """It comes as fast as our own limit lets it, or as those send that do."""
    gate = fetch.requests.gate
    if gate.rate is not None and gate.is_shut(now):
        limit = f"the limit of {gate.rate / 1000:g} kB/s for all downloads"
        return [Cause("limit", f"it waits for {limit}; `leaf limit --down` sets it")]
    giving = sum(bool(each.requests) and not each.snubs for each in fetch.sources)
    of = f"{giving} of {fetch.sources.linked_count} linked sources"
    return [Cause("sources", f"it comes as fast as {of} send it", giving)] if giving else []


def _of_sources(fetch: Fetch, now: float) -> list[Cause]:
    """What keeps those that might send."""
    linked, known = fetch.sources.linked, list(fetch.sources)
    causes = []
    if not known:
        causes.append(Cause("no_source", "nobody is known to have it", 0))
    elif not linked:
        causes.append(_unlinked(fetch, known, now))
    elif not any(each.shown for each in linked):
        text = f"none of {len(linked)} linked sources has said yet what it has"
        causes.append(Cause("greeting", text, len(linked), _data_due_s(fetch, linked, now)))
    elif not fetch.has_layer:
        text = "the hashes that prove it are not here yet"
        causes.append(Cause("hashes", text, next_try_s=_data_due_s(fetch, linked, now)))
    causes += _of_linked(fetch, linked, now)
    if fetch.sources.liars:
        liars = len(fetch.sources.liars)
        causes.append(Cause("banned", f"wrong bytes came from {liars}, asked no more", liars))
    if linked and fetch.sources.full and fetch.sources.crowded:
        links_max = fetch.sources.links_max
        text = f"all {links_max} links of this download are taken; other sources wait"
        causes.append(Cause("links", text, links_max))
    return causes


def _of_linked(fetch: Fetch, linked: list[Source], now: float) -> list[Cause]:
    """What keeps those that there is a link to."""
    of = f"of {len(linked)} linked sources"
    choking = [each for each in linked if each.shown and each.choking]
    refusing = [each for each in linked if each.is_full(now) and not each.requests]
    useless = [each for each in linked if fetch.requests.has_nothing(each)]
    snubbing = [each for each in linked if each.snubs]
    causes = []
    if snubbing:
        text = f"we are kept waiting by {len(snubbing)} {of}, given up if it goes on"
        due_s = _data_due_s(fetch, snubbing, now)
        causes.append(Cause("snubbed", text, len(snubbing), due_s))
    if choking:
        text, turn_s = f"others are served first by {len(choking)} {of}", None
        if first := min((s for s in choking if s.place), key=lambda s: s.turn_at, default=None):
            text = f"{text}; our place in the shortest line is {first.place}"
            turn_s = left_s(first.turn_at, now)
        causes.append(Cause("choked", text, len(choking), turn_s))
    if refusing:
        text = f"too many ask {len(refusing)} {of}; we ask again soon"
        again_s = left_s(min(each.full_until for each in refusing), now)
        causes.append(Cause("refused", text, len(refusing), again_s))
    if useless:
        text = f"nothing that is lacking here is at {len(useless)} {of}"
        causes.append(Cause("useless", text, len(useless)))
    return causes


def _data_due_s(fetch: Fetch, sources: list[Source], now: float) -> float | None:
    """When the first of these is held to have let us wait."""
    times = [fetch.sources.deadlines.get(("data", each.peer)) for each in sources]
    at = min((time for time in times if time is not None), default=None)
    return None if at is None else left_s(at, now)


def _unlinked(fetch: Fetch, known: list[Source], now: float) -> Cause:
    """Nobody of those that are known is linked with."""
    dialling = sum(each.phase is Phase.DIALLING for each in known)
    if dialling:
        text = f"{dialling} of {len(known)} known sources are being reached"
        return Cause("dialling", text, dialling)
    times = [fetch.sources.deadlines.get(("retry", each.peer)) for each in known]
    at = min((time for time in times if time is not None), default=None)
    text = f"there is no link to any of {len(known)} known sources"
    return Cause("resting", text, len(known), None if at is None else left_s(at, now))


def _row(fetch: Fetch, source: Source, now: float) -> SourceRow:
    at = fetch.sources.deadlines.get(("retry", source.peer))
    row = SourceRow(
        node=node_text(source.peer),
        address=str(source.address),
        phase=source.phase.value,
        remark=_remark(fetch, source, now, rests=at is not None),
        tries=source.tries,
        next_try_s=None if at is None else left_s(at, now),
    )
    if source.phase is Phase.LINKED:
        row.rate = round(source.rate.per_s(now), 1) if source.rate and source.requests else 0.0
        row.owed_bytes, row.waited_for = source.owed_bytes, source.snubs
        if source.shown:
            row.choked, row.useful = source.choking, not fetch.requests.has_nothing(source)
        if source.choking and source.place:
            row.place, row.wait_s = source.place, round(left_s(source.turn_at, now))
    return row


def _remark(fetch: Fetch, source: Source, now: float, *, rests: bool) -> str:
    """What there is to say of a source, in a few words."""
    if source.phase is Phase.DIALLING:
        return "being reached"
    if source.phase is Phase.KNOWN:
        tried = "could not be reached" if source.tries else "had nothing new"
        return tried if rests else "waits for a free link"
    if not source.shown:
        return "has not said yet what it has"
    if source.snubs:
        return "lets us wait"
    if source.choking:
        return "serves others first"
    if fetch.requests.has_nothing(source):
        return "has nothing that is lacking here"
    if fetch.requests.gate.rate is not None:
        return "sends as fast as our limit lets it"
    if source.is_full(now) and not source.requests:
        return "is asked by too many"
    return "sends" if source.requests else "is asked for nothing now"


def left_s(at: float, now: float) -> float:
    """How long until then."""
    return round(max(at - now, 0.0), 3)
