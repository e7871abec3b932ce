"""Why a download waits or is slow, as `leaf why` shows it: what was measured, never a guess.

Only the shape of the answer; what goes in is found by `leaf.downloads.whys`. Durations count from
now.
"""

import msgspec


class Cause(msgspec.Struct, omit_defaults=True):
    """One measured cause: a word for scripts, a sentence for people, how many it is about, and when
    something is done about it, where that is known."""

    cause: str
    text: str
    count: int | None = None
    next_try_s: float | None = None


class SourceRow(msgspec.Struct, omit_defaults=True):
    """One leaf that is said to have the file, and how far we are with it.

    `phase` is known, dialling or linked; `choked`, `useful` and `owed_bytes` speak of a link.
    `waited_for` counts how often in a row it let us wait, `tries` the links that brought nothing.
    """

    node: str
    address: str
    phase: str
    remark: str
    rate: float = 0.0
    owed_bytes: int = 0
    choked: bool | None = None  # None: it has not said yet
    useful: bool | None = None  # whether it has what is lacking here; None: it has not said yet
    waited_for: int = 0
    tries: int = 0
    next_try_s: float | None = None
    place: int | None = None  # in the line of who chokes us, by its word; 1: next
    wait_s: int | None = None  # ... and how long that takes


class Counts(msgspec.Struct):
    """The sources of one download, by what keeps them."""

    known: int = 0
    linked: int = 0
    dialling: int = 0
    choking: int = 0
    useless: int = 0  # linked, and have nothing that is lacking here
    snubbed: int = 0  # linked, and let us wait
    banned: int = 0  # sent wrong bytes; not among the known


class Why(msgspec.Struct, omit_defaults=True):
    """Why one download is where it is; the first cause is the one in `waits_for`.

    Of a folder: `files` are those under way, a bounded number of them.
    """

    id: str
    path: str
    state: str
    waits_for: str
    size: int
    done_bytes: int
    rate: float
    causes: list[Cause]
    counts: Counts
    sources: list[SourceRow]
    parent: str | None = None  # the super-peer that is asked who has it
    parent_reason: str = ""  # why there is none
    files: "list[Why] | None" = None
