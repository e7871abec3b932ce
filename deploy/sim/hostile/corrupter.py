"""A leaf that shares what others share and serves something else.

It joins and publishes true roots under its own signature, so searches and locates find it. What it
then sends is wrong in every way that bytes can be wrong: flipped, random, too short or too long, of
another place, twice, without data, late; the same goes for piece hashes. Now and then it is right.
"""

from collections import Counter
from typing import Final

from common.core import Effect, Event, Received, Send
from common.deadlines import Deadlines
from common.messages.swarm import (
    Bitfield,
    Have,
    Interested,
    Piece,
    Reject,
    Request,
    TreeHashes,
    TreeRequest,
    Unchoke,
)
from deploy.sim.hostile.foothold import Membership
from deploy.sim.hostile.nature import Nature
from deploy.sim.hostile.wares import Ware, Wares

LIES: Final = ("flipped", "flipped", "random", "short", "long", "elsewhere", "twice", "bare")
TREE_LIES: Final = ("random", "random", "random", "short", "unproven", "bare")
TRUE_PIECE: Final = 0.3  # how often it sends what it was asked for, so that it stays a while
ODD_BITFIELD: Final = 0.1
LATE: Final = 0.2
LATE_S: Final = (3.0, 14.0)  # around the patience of who asked
TRUE_TREE: Final = 0.3  # without the hashes nobody asks it for pieces


class Corrupter:
    """A harm."""

    def __init__(self, nature: Nature) -> None:
        self._rng = nature.rng
        self._wares = Wares(nature)
        self._membership = Membership(nature, self._wares)
        self._deadlines = Deadlines()
        self._kept: dict[object, list[Effect]] = {}  # answers, until they are late
        self._count = 0
        self.done: Counter[str] = Counter()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        if isinstance(event, Received):
            message, peer = event.message, event.peer
            if isinstance(message, Interested):
                return self._interested(peer, message)
            if isinstance(message, TreeRequest):
                return self._tree(peer, message)
            if isinstance(message, Request):
                return self._later(self._request(peer, message), now)
        effects = self._membership.handle(event, now)
        for key in self._deadlines.pop_due(now):
            effects = [*effects, *self._kept.pop(key, [])]
        return effects

    def _later(self, answer: list[Effect], now: float) -> list[Effect]:
        """Now and then an answer comes when nobody expects it any more."""
        if self._rng.random() >= LATE:
            return answer
        self.done["late answer"] += 1
        self._count += 1
        self._kept[self._count] = answer
        self._deadlines.set(self._count, now + self._rng.uniform(*LATE_S))
        return []

    def wakeup(self) -> float | None:
        """The next deadline."""
        times = (self._membership.wakeup(), self._deadlines.earliest())
        return min((time for time in times if time is not None), default=None)

    def _interested(self, peer: bytes, message: Interested) -> list[Effect]:
        root = message.root
        if not self._wares.has(root, message.size):
            return [Send(peer, Reject(root, "not_here"))]
        bits = b""
        if self._rng.random() < ODD_BITFIELD:
            self.done["odd bit field"] += 1
            bits = bytes(3_000)
        effects: list[Effect] = [Send(peer, Bitfield(root, bits)), Send(peer, Unchoke(root))]
        if self._rng.random() < 0.2:
            self.done["have of any piece"] += 1
            effects.append(Send(peer, Have(root, self._rng.choice((0, 1, 2**20 - 1)))))
        return effects

    # --- hashes -----------------------------------------------------------------------------

    def _tree(self, peer: bytes, message: TreeRequest) -> list[Effect]:
        ware = self._wares.wares.get(message.root)
        true = ware.hashes(message.first, message.count) if ware else None
        if true is None:
            return [Send(peer, Reject(message.root, "gone"))]
        hashes, proof = true
        if self._rng.random() < TRUE_TREE:
            return [Send(peer, TreeHashes(message.root, message.first, proof), hashes)]
        lie = self._rng.choice(TREE_LIES)
        self.done[f"hashes {lie}"] += 1
        told = TreeHashes(message.root, message.first, proof)
        if lie == "random":
            return [Send(peer, told, self._rng.randbytes(len(hashes)))]
        if lie == "short":
            return [Send(peer, told, hashes[:-32])]
        if lie == "unproven":
            odd = TreeHashes(message.root, message.first, (*proof, self._rng.randbytes(32)))
            return [Send(peer, odd, hashes)]
        return [Send(peer, told)]

    # --- pieces -----------------------------------------------------------------------------

    def _request(self, peer: bytes, message: Request) -> list[Effect]:
        ware = self._wares.wares.get(message.root)
        if ware is None:
            return [Send(peer, Reject(message.root, "gone", message.offset))]
        true = ware.data[message.offset : message.offset + message.length]
        if self._rng.random() < TRUE_PIECE:
            return [Send(peer, Piece(message.root, message.offset), true)]
        lie = self._rng.choice(LIES)
        self.done[f"piece {lie}"] += 1
        return self._wrong(peer, message, ware, lie)

    def _wrong(self, peer: bytes, message: Request, ware: Ware, lie: str) -> list[Effect]:
        root, offset, length = message.root, message.offset, message.length
        true = ware.data[offset : offset + length]
        told = Piece(root, offset)
        if lie == "flipped" and true:
            at = self._rng.randrange(len(true))
            return [Send(peer, told, true[:at] + bytes((true[at] ^ 1,)) + true[at + 1 :])]
        if lie == "random":
            return [Send(peer, told, self._rng.randbytes(length))]
        if lie == "short":
            return [Send(peer, told, true[: length // 2])]
        if lie == "long":
            return [Send(peer, told, true + b"\0")]
        if lie == "elsewhere":
            return [Send(peer, Piece(root, offset + length), true)]
        if lie == "twice":
            return [Send(peer, told, true), Send(peer, told, true)]
        return [Send(peer, told)]
