"""The disk of a host in a large world: it tells what is shared, and has no bytes.

Files are there by name, size and root alone, and the same objects serve every host that holds them.
Nothing can be downloaded in such a world. Of earlier lives only the super-peers that worked are
remembered, as the store does it (`common.shell.disk.store`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from common.addresses import Address
from common.core import Effect, Event
from common.folders import RememberFolder
from common.ids import NodeId
from common.schedule import RememberLimits
from common.shell.disk.store import SUPER_PEERS_MAX
from common.storage import (
    FilesShared,
    FollowShare,
    RememberDownload,
    RememberGiving,
    RememberLine,
    RememberPin,
    RememberShare,
    RememberSuperPeer,
    RememberWish,
    Restored,
    SharedFile,
    ShareSettled,
    UnfollowShare,
)

Performer = Callable[[Any], None]

_NOT_KEPT = (
    *(UnfollowShare, RememberDownload, RememberPin, RememberShare, RememberWish, RememberFolder),
    RememberLimits,
    *(RememberGiving, RememberLine),
)

Known = dict[NodeId, Address]  # super-peers that worked, the latest at the end


class Shelf(Mapping[type[Effect], Performer]):
    """What one host shares, in one share; itself the table of what it can do."""

    __slots__ = ("_feed", "_files", "_known")

    def __init__(
        self,
        files: Sequence[SharedFile],
        feed: Callable[[Event], None],
        known: Known | None = None,
    ) -> None:
        """`known`, if given, outlives us."""
        self._files = files
        self._known: Known = {} if known is None else known
        self._feed = feed

    def performers(self) -> Mapping[type[Effect], Performer]:
        """Telling what is shared, and forgetting the rest."""
        return self

    def __getitem__(self, kind: type[Effect]) -> Performer:
        if kind is FollowShare:
            return self._follow
        if kind is RememberSuperPeer:
            return self._remember
        if kind in _NOT_KEPT:
            return _nothing
        raise KeyError(f"a large world does no {kind.__name__}")

    def __iter__(self) -> Iterator[type[Effect]]:
        return iter((FollowShare, RememberSuperPeer, *_NOT_KEPT))

    def __len__(self) -> int:
        return 2 + len(_NOT_KEPT)

    def restored(self) -> Restored:
        """Whom earlier lives knew, the latest first."""
        return Restored(known=tuple(reversed(self._known.items())))

    def close(self) -> None:
        """Nothing is open."""

    def die(self) -> None:
        """Nothing is open."""

    def _remember(self, effect: RememberSuperPeer) -> None:
        self._known.pop(effect.node, None)
        self._known[effect.node] = effect.address
        if len(self._known) > SUPER_PEERS_MAX:
            del self._known[next(iter(self._known))]

    def _follow(self, effect: FollowShare) -> None:
        if self._files:
            self._feed(FilesShared(tuple(self._files)))
        self._feed(ShareSettled(effect.share))


def _nothing(_effect: Effect) -> None:
    """It is not kept."""
