"""How a node of another release writes its messages: mixed versions on one network.

A newer node appends fields that we do not know and says things that we do not understand; both
must pass us by without harm. It is written here in bytes, because our own messages cannot say it.
"""

from typing import Final, Protocol

_ARRAY_FIELDS_MAX: Final = 14  # of MessagePack's shortest array, with room for one more
_ARRAY: Final = 0x90
_NEW_FIELD: Final = b"\xa5later"  # the text "later"
_NEW_MESSAGE: Final = b"\x92\xcc\xfa\xa3new"  # [250, "new"]: no message has this number yet


class Dialect(Protocol):
    """From one message as we write it to the frames that are sent for it."""

    def bodies(self, encoded: bytes, *, alone: bool) -> list[bytes]:
        """The messages to send, each in a frame; `alone`: nothing may come with this one."""


class Plain:
    """As we write it."""

    def bodies(self, encoded: bytes, *, alone: bool) -> list[bytes]:  # noqa: ARG002
        """The message itself."""
        return [encoded]


class Newer:
    """With a field more in each message that has room, and a new message now and then."""

    def __init__(self) -> None:
        self._count = 0

    def bodies(self, encoded: bytes, *, alone: bool) -> list[bytes]:
        """The message with a field more; each eighth time something unknown behind it."""
        self._count += 1
        first = encoded[0]
        if _ARRAY <= first <= _ARRAY + _ARRAY_FIELDS_MAX:
            encoded = bytes((first + 1,)) + encoded[1:] + _NEW_FIELD
        return [encoded] if alone or self._count % 8 else [encoded, _NEW_MESSAGE]


PLAIN: Final = Plain()
