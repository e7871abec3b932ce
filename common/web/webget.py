"""Events and effects of fetching from web servers: between a role and the shell.

A role orders ranges of what a URL names, or the piece layer of the file there; each order is known
by a number of the role's own and answered once, unless it was stopped. What comes is unproven: it
is the role's to have it checked.
"""

from common.core import Effect, Event


class WebFetch(Effect, frozen=True):
    """Get the bytes [offset, offset + length) of a file of `size` bytes at this URL."""

    fetch: int
    url: str
    offset: int
    length: int
    size: int


class WebFetchLayer(Effect, frozen=True):
    """Get the piece layer of the file at this URL: what `layer_url` (or empty) holds, else by
    reading and hashing the whole file."""

    fetch: int
    url: str
    layer_url: str
    size: int


class WebStop(Effect, frozen=True):
    """What this order would bring is not wanted any more; it is not answered."""

    fetch: int


class WebFetched(Event, frozen=True):
    """What was ordered."""

    fetch: int
    data: memoryview


class WebFailed(Event, frozen=True):
    """It did not come; `lasting`: trying again would not help."""

    fetch: int
    reason: str
    lasting: bool
