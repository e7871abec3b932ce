"""Followed shares on a simulated disk: the scans of `common.shell.disk.scanning`, in virtual time.

What `follower.py` and `shares.py` do with threads is done here with the loop and the workers of a
simulated disk. Invariant, as there: the ShareSettled or ShareFailed that comes after a FollowShare
tells of a scan that began after it, and nothing is heard of a share after its UnfollowShare. A scan
happens as a whole.
"""

from collections.abc import Callable
from pathlib import Path

from common.core import Event
from common.shell.disk.diskcalls import naming
from common.shell.disk.follower import RETRY_S
from common.shell.disk.forgetting import forget_share
from common.shell.disk.scan import UNFINISHED, Hashing
from common.shell.disk.scanning import Scanner
from common.storage import FollowShare, ShareFailed, ShareSettled, UnfollowShare
from deploy.sim.diskwork import Handle, VirtualLoop, Workers
from deploy.sim.filecalls import ProcessCalls
from deploy.sim.store import MemoryStore


class _Followed:
    """One share; `asked` counts how often a scan was asked for."""

    __slots__ = ("again", "asked", "is_scanned", "noticed", "scanner", "timer")

    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.asked = 0
        self.is_scanned = False
        self.again = False
        self.timer: Handle | None = None
        self.noticed: Handle | None = None


class SimulatedShares:
    """The followed shares of one life of a host. `notice_s`: how long until a change is noticed;
    None: never, only the rescan finds it."""

    def __init__(
        self,
        calls: ProcessCalls,
        store: MemoryStore,
        loop: VirtualLoop,
        workers: Workers,
        feed: Callable[[Event], None],
        *,
        hashing: Hashing,
        now: Callable[[], float],
        rescan_s: float,
        notice_s: float | None,
    ) -> None:
        self._calls = calls
        self._store = store
        self._loop = loop
        self._workers = workers
        self._feed = feed
        self._hashing = hashing
        self._now = now
        self._rescan_s = rescan_s
        self._notice_s = notice_s
        self._followed: dict[str, _Followed] = {}

    def follow(self, effect: FollowShare) -> None:
        """Scan it from now on, or now."""
        followed = self._followed.get(effect.share)
        if followed is None:
            followed = self._followed[effect.share] = self._new(effect.share)
        else:
            followed.asked += 1
        self._wake(followed)

    def unfollow(self, effect: UnfollowShare) -> None:
        """Let go of it, and forget what only this one needs."""
        followed = self._followed.pop(effect.share, None)
        if followed is None:
            return
        for timer in (followed.timer, followed.noticed):
            if timer is not None:
                timer.cancel()
        others = [each.scanner.path for each in self._followed.values()]
        forget_share(self._store, followed.scanner.path, others)

    def changed(self, path: str) -> None:
        """Something on the disk changed."""
        if self._notice_s is None or path.endswith(UNFINISHED):
            return
        for share, followed in self._followed.items():
            inside = path == share or path.startswith(share.rstrip("/") + "/")
            if inside and followed.noticed is None and not followed.scanner.failed:
                followed.noticed = self._loop.call_later(self._notice_s, self._notice, followed)

    def _new(self, share: str) -> _Followed:
        def tell(event: Event, number: int) -> None:
            self._loop.call_soon_threadsafe(self._deliver, followed, event, number)

        scanner = Scanner(
            share,
            self._store,
            self._look,
            tell,
            disk=self._calls,
            hashing=self._hashing,
            clock=self._now,
        )
        followed = _Followed(scanner)
        return followed

    def _look(self, share: Path) -> Path:
        with naming("read", share):
            self._calls.lstat(share)
        return share

    def _notice(self, followed: _Followed) -> None:
        followed.noticed = None
        self._wake(followed)

    def _wake(self, followed: _Followed) -> None:
        """Scan now, or once more after the scan that is under way."""
        if followed.is_scanned:
            followed.again = True
            return
        if followed.timer is not None:
            followed.timer.cancel()
        followed.is_scanned = True
        self._workers.submit(self._scan, followed)

    def _scan(self, followed: _Followed) -> None:
        if self._is_followed(followed):
            followed.again = False  # this one sees it
            followed.scanner.turn(followed.asked)
            self._loop.call_soon_threadsafe(self._ended, followed)

    def _ended(self, followed: _Followed) -> None:
        if not self._is_followed(followed):
            return
        followed.is_scanned = False
        if followed.again:
            followed.again = False
            self._wake(followed)
            return
        soon = followed.scanner.failed or followed.scanner.changing
        wait_s = RETRY_S if soon else self._rescan_s
        followed.timer = self._loop.call_later(wait_s, self._wake, followed)

    def _deliver(self, followed: _Followed, event: Event, number: int) -> None:
        late = number < followed.asked and isinstance(event, ShareSettled | ShareFailed)
        if self._is_followed(followed) and not late:
            self._feed(event)

    def _is_followed(self, followed: _Followed) -> bool:
        return self._followed.get(followed.scanner.share) is followed
