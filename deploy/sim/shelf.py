"""The disk of a host in a large world: it tells what is shared, and has no bytes.

Files are there by name, size and root alone, and the same objects serve every host that holds them.
Nothing can be downloaded in such a world, and nothing is remembered.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from common.core import Effect, Event
from common.storage import (
    FilesShared,
    FollowShare,
    RememberDownload,
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
    *(UnfollowShare, RememberDownload, RememberPin, RememberShare),
    *(RememberSuperPeer, RememberWish),
)


class Shelf(Mapping[type[Effect], Performer]):
    """What one host shares, in one share; itself the table of what it can do."""

    __slots__ = ("_feed", "_files")

    def __init__(self, files: Sequence[SharedFile], feed: Callable[[Event], None]) -> None:
        self._files = files
        self._feed = feed

    def performers(self) -> Mapping[type[Effect], Performer]:
        """Telling what is shared, and forgetting the rest."""
        return self

    def __getitem__(self, kind: type[Effect]) -> Performer:
        if kind is FollowShare:
            return self._follow
        if kind in _NOT_KEPT:
            return _nothing
        raise KeyError(f"a large world does no {kind.__name__}")

    def __iter__(self) -> Iterator[type[Effect]]:
        return iter((FollowShare, *_NOT_KEPT))

    def __len__(self) -> int:
        return 1 + len(_NOT_KEPT)

    def restored(self) -> Restored:
        """Nothing of an earlier life."""
        return Restored()

    def close(self) -> None:
        """Nothing is open."""

    def die(self) -> None:
        """Nothing is open."""

    def _follow(self, effect: FollowShare) -> None:
        if self._files:
            self._feed(FilesShared(tuple(self._files)))
        self._feed(ShareSettled(effect.share))


def _nothing(_effect: Effect) -> None:
    """It is not kept."""
