"""One of our leaves: who its heir is, what of the leaf is there, and what is to be sent next."""

from typing import Final

from common.ids import NodeId
from common.limits import CONTAINER_ITEMS_MAX
from common.messages.cluster import Put
from common.messages.fields import Contact
from common.messages.overlay import Hold
from superpeer.index.share import Share

HOLD_BYTES: Final = 16 * 1024  # of entries in one message: queries wait no longer; wild guess
ENTRY_BYTES: Final = 64  # of an entry on the wire, beside its texts


class Copied:
    """One leaf, and what its heir has."""

    __slots__ = (
        *("afresh", "before", "heir", "held", "kept", "refused", "rests_until"),
        *("share", "slots", "told", "unreached"),
    )

    def __init__(self, share: Share, before: NodeId | None, rests_until: float) -> None:
        self.share = share
        self.rests_until = rests_until  # nobody is asked to be its heir
        self.before = before  # its parent before us, which has all that it brought along
        self.heir: Contact | None = None
        self.kept: Contact | None = None  # the heir before, until that one has all
        self.held: int | None = None  # the generation at the heir; None: it has not said
        self.slots: dict[int, None] = {}  # still to be sent to it
        self.afresh = True  # it is to forget first what it has
        self.told: Contact | None = None  # whom the leaf takes for its heir
        self.refused: dict[NodeId, None] = {}  # who would not be
        self.unreached: dict[NodeId, None] = {}  # whom it cannot reach

    @property
    def is_true(self) -> bool:
        """Whether the heir has all that the leaf has signed."""
        return self.held == self.share.holding.generation and not self.slots

    def unname(self) -> None:
        """It has no heir."""
        self.heir, self.held, self.afresh = None, None, True
        self.slots.clear()

    def next_message(self, leaf: NodeId) -> Hold | None:
        """The question, or some of what is missing; the last carries the signature. None where we
        hold nothing that could be proven."""
        share, holding = self.share, self.share.holding
        asked = Hold(leaf, share.epoch, share.joins, share.source, holding.generation)
        if self.held is None:
            return asked
        if not holding.signature:
            return None
        puts: list[Put] = []
        drops: list[int] = []
        room = HOLD_BYTES
        while self.slots and room > 0 and len(puts) + len(drops) < CONTAINER_ITEMS_MAX:
            slot, _ = self.slots.popitem()
            entry = holding.get(slot)
            room -= ENTRY_BYTES
            if entry is None:
                drops.append(slot)
            else:
                puts.append(Put(slot, entry))
                room -= len(entry.name.encode()) + len(entry.folder.encode())
        afresh, self.afresh = self.afresh, False
        return Hold(
            *(leaf, share.epoch, share.joins, share.source, holding.generation),
            tuple(puts),
            tuple(drops),
            None if self.slots else holding.signature,
            afresh,
        )
