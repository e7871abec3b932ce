"""How many bytes are read for others and have not left yet: of all, and of each.

A leaf that takes slowly what it asked for must neither fill our memory nor keep others from being
read for. What was taken for a leaf is given back when it has left, when it is not needed any more,
or when the link is gone.
"""

from typing import Final

from common.ids import NodeId

ALL_BYTES_MAX: Final = 32 * 1024 * 1024
LEAF_BYTES_MAX: Final = 8 * 1024 * 1024  # = the window that a downloader has at one source


class Budget:
    """Bytes on their way from the disk to the links."""

    __slots__ = ("_all", "_taken")

    def __init__(self) -> None:
        self._taken: dict[NodeId, int] = {}
        self._all = 0

    @property
    def spent(self) -> bool:
        """Whether nothing may be read for anybody."""
        return self._all >= ALL_BYTES_MAX

    def has_room(self, peer: NodeId) -> bool:
        """Whether something may be read for this leaf."""
        return not self.spent and self._taken.get(peer, 0) < LEAF_BYTES_MAX

    def take(self, peer: NodeId, length: int) -> None:
        """This much is read, or made, for it."""
        self._taken[peer] = self._taken.get(peer, 0) + length
        self._all += length

    def give_back(self, peer: NodeId, length: int) -> None:
        """This much has left, or is not needed; nothing where the link went in between."""
        length = min(length, self._taken.get(peer, 0))
        self._all -= length
        if length:
            self._taken[peer] -= length

    def forget(self, peer: NodeId) -> None:
        """The link is gone, and all that was meant for it."""
        self._all -= self._taken.pop(peer, 0)
