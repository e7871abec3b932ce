"""Which shares are followed: one `Follower` each, and the hash threads that they have in common.

Hashing runs in two threads, which hashlib lets scale. Invariant: the ShareSettled or ShareFailed
that comes after a FollowShare tells of a scan that began after it, and nothing is heard of a share
after its UnfollowShare. What a share holds is the business of `follower.py`.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from common.core import Effect, Event
from common.errors import Exit
from common.shell.disk.follower import RETRY_S, Follower
from common.shell.disk.remembered import Hashes
from common.shell.drive import Performer
from common.storage import FollowShare, ShareFailed, ShareSettled, UnfollowShare

HASH_THREADS: Final = 2  # scale to both cores here (measured)

Feed = Callable[[Event], None]


class Shares:
    """The followed shares of one node."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        feed: Feed,
        store: Hashes | None,
        private: tuple[Path, ...] = (),
        retry_s: float = RETRY_S,
    ) -> None:
        self._loop = loop
        self._feed = feed
        self._store = store
        self._private = private
        self._retry_s = retry_s
        self._hashers = ThreadPoolExecutor(HASH_THREADS, "hash")
        self._followed: dict[str, Follower] = {}
        self._leaving: list[threading.Thread] = []  # their hashes are being forgotten

    def performers(self) -> dict[type[Effect], Performer]:
        """What this can do, by effect."""
        return {FollowShare: self._follow, UnfollowShare: self._unfollow}

    def close(self) -> None:
        """Stop all threads; a file being hashed is given up at its next megabyte."""
        for follower in self._followed.values():
            follower.stop()
        self._hashers.shutdown(wait=False, cancel_futures=True)

    def _follow(self, effect: FollowShare) -> None:
        follower = self._followed.get(effect.share)
        if follower is not None:
            follower.ask()
            return
        follower = Follower(
            effect.share,
            self._private,
            self._store,
            self._hashers,
            self._later,
            self._retry_s,
            after=tuple(thread for thread in self._leaving if thread.is_alive()),
        )
        self._followed[effect.share] = follower
        follower.thread.start()

    def _unfollow(self, effect: UnfollowShare) -> None:
        follower = self._followed.pop(effect.share, None)
        if follower is None:
            return
        follower.stop(forget_beside=tuple(each.path for each in self._followed.values()))
        leaving = [thread for thread in self._leaving if thread.is_alive()]
        self._leaving = [*leaving, follower.thread]

    def _later(self, follower: Follower, event: Event, scan: int) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, follower, event, scan)

    def _deliver(self, follower: Follower, event: Event, scan: int) -> None:
        """Words of one that was let go come too late; so does the end of a scan that began before
        the last ask."""
        if self._followed.get(follower.share) is not follower:
            return
        if isinstance(event, ShareFailed) and event.code is Exit.REFUSED:
            del self._followed[follower.share]
        elif scan < follower.asked and isinstance(event, ShareSettled | ShareFailed):
            return
        self._feed(event)
