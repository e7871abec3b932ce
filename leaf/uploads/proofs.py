"""Piece hashes for others: who asked, whose turn it is, and the answers.

Nobody can begin without the hashes, so all who begin together ask the one leaf that has the file.
Whoever has them and a piece can pass them on; so the line is short, and who finds it full asks
another or comes again a little later: by then those who were served first have them too, where
several answers side by side would all have come late. Each leaf has one place. Its turn comes as
that of requests does, under the same cap and budget (`leaf.uploads.upload`): hashes do not go ahead
of everybody's pieces.
"""

from typing import Final

from common.content.merkle import HASH_BYTES, TreeError, piece_count
from common.core import Effect, Hangup, Send
from common.doors import Door
from common.ids import NodeId
from common.messages.swarm import Reject, TreeRequest
from common.storage import ReadLayer
from leaf.uploads.trees import Asked, Trees

HASHES: Final = -1  # in a turn, instead of the offset of a request
LINE_BYTES_MAX: Final = 32 * 1024  # that wait, or one answer, as of files of 1,024 pieces and more

Answer = tuple[Asked, Effect]


class Proofs:
    """All questions for piece hashes that are not answered yet."""

    __slots__ = ("_line", "_line_bytes", "_trees")

    def __init__(self) -> None:
        self._line: dict[NodeId, Asked] = {}  # their turn has not come
        self._line_bytes = 0
        self._trees = Trees()

    def join(self, peer: NodeId, request: TreeRequest, size: int) -> bool:
        """It asks for these; False where there is no place in the line."""
        length = HASH_BYTES * min(request.count, piece_count(size) - request.first)
        if peer in self._line or (self._line and self._line_bytes + length > LINE_BYTES_MAX):
            return False
        self._line[peer] = Asked(peer, request, size, length)
        self._line_bytes += length
        return True

    def waiting_bytes(self, peer: NodeId, root: bytes) -> int:
        """How long the answer is that it waits for; 0: it does not."""
        asked = self._line.get(peer)
        return asked.length if asked is not None and asked.request.root == root else 0

    def leave(self, peer: NodeId) -> Asked | None:
        """It has no place any more; what it had asked for, if it had one."""
        asked = self._line.pop(peer, None)
        if asked is not None:
            self._line_bytes -= asked.length
        return asked

    def begin(self, peer: NodeId, read: int) -> list[Answer]:
        """Its turn has come: the answer, or the order to read the layer under this number."""
        asked = self.leave(peer)
        if asked is None:
            return []
        root = asked.request.root
        if root in self._trees:
            return [(asked, self._answer(asked))]
        is_read = self._trees.is_read(root)
        if not self._trees.wait(asked):
            return [(asked, Send(peer, Reject(root, "too_many")))]
        if is_read:
            return []
        self._trees.reading(read, root, asked.size)
        return [(asked, ReadLayer(read, root, asked.size))]

    def came(self, read: int, layer: bytes) -> list[Answer]:
        """The disk has read this layer, or could not: the answers to all who waited for it."""
        root, waiting = self._trees.came(read, layer)
        return [(asked, self._answer(asked, root in self._trees)) for asked in waiting]

    def _answer(self, asked: Asked, is_there: bool = True) -> Effect:
        if not is_there:
            return Send(asked.peer, Reject(asked.request.root, "gone"))
        try:
            answer, hashes = self._trees.answer(asked.request)
        except TreeError as error:
            return Hangup(asked.peer, Door.BULK, str(error))
        return Send(asked.peer, answer, hashes)
