"""Wishes for a file that was fetched before: the disk looks whether it still stands there.

Each wish is answered once the disk has looked: with the path where it is and no byte received, or
it is wished for anew, and then fetched. Nothing is fetched and no download is changed here.
"""

import msgspec

from common.core import Answer, Effect, Fail
from common.errors import Exit
from leaf.downloads.askers import STOPPED_HINT, result_of
from leaf.signals import Wanted
from leaf.swarm.download import Download


class Looks:
    """Those who wait for a look of the disk; as many as there are calls open."""

    __slots__ = ("_wishes",)

    def __init__(self) -> None:
        self._wishes: dict[int, tuple[Wanted, Download, float]] = {}  # by call; when it came

    def add(self, wish: Wanted, download: Download, now: float) -> None:
        """The disk looks for this finished download because of this wish."""
        self._wishes[wish.call] = (wish, download, now)

    def leave(self, call: int) -> None:
        """Nobody waits in this call any more."""
        self._wishes.pop(call, None)

    def looked(self, download: Download, now: float) -> list[Effect]:
        """The disk has looked; a wish that must be met otherwise is given back."""
        effects: list[Effect] = []
        for call, (wish, looked_for, began) in list(self._wishes.items()):
            if looked_for is not download:
                continue
            del self._wishes[call]
            if download.can_be_served:
                there = result_of(download, now - began, b"")
                result = msgspec.structs.replace(there, bytes_received=0, sources=0, copied=None)
                effects.append(Answer(call, result))
            else:
                effects.append(wish)
        return effects

    def dismiss(self, download: Download) -> list[Effect]:
        """The download was removed."""
        calls = [call for call, wish in self._wishes.items() if wish[1] is download]
        for call in calls:
            del self._wishes[call]
        return [Fail(call, Exit.UNFINISHED, "The download was removed.") for call in calls]

    def stop(self) -> list[Effect]:
        """The program ends."""
        calls, self._wishes = list(self._wishes), {}
        reason = "The leaf stops before it has looked for the file."
        return [Fail(call, Exit.UNFINISHED, reason, STOPPED_HINT) for call in calls]
