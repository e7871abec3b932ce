"""The doors of a node: where links come in, and what may come through each.

Every node binds the same doors from its start, so that a promotion moves nothing and what a
dial-back tested is what others will use. This file only names them; `common/shell/net/doors.py`
opens them.
"""

import enum


class Door(enum.Enum):
    """One listening place of a node; a link belongs to exactly one for its whole life."""

    CONTROL = "control"
    """Arrays of messages, at most 64 KiB a frame; never waits behind file data."""
    BULK = "bulk"
    """Swarm messages with an optional second frame of file data, at most 1 MiB and a header."""

    __hash__ = object.__hash__  # as fast as a key of every message should be

    @property
    def other(self) -> "Door":
        """The one beside this."""
        return Door.BULK if self is Door.CONTROL else Door.CONTROL
