"""A move from one parent to another, without a moment between.

    STAYING --ReHome--> JOINING --Welcome--> LEAVING --found there, or too late--> STAYING
                            '--- Busy, LinkDown, too late: as if nothing had been ---'

The old parent stays ours until the new one has welcomed us, and linked until what we share is found
there; only then do we `Leave`. Where the new one has all that we share already, as an heir does,
that is at once. Who has sent us away is our heir until the new parent names one: it may still
have what we share. Here stands how far a move is; `leaf.parent.parent` does it.
"""

from typing import Final

from common.core import Effect, LetGo, Notify, Send
from common.doors import Door
from common.ids import NodeId, node_text
from common.messages.cluster import Leave
from common.messages.fields import Contact
from leaf.parent.candidates import Candidate

LEAVE_TIMES: Final = 4.0  # times `join_s`: how long what we share may take to be found there
ASKED: Final = "our super-peer asked for it: it sheds load, ends, or another has a copy of ours"
SILENT: Final = "our super-peer was silent"
NOT_MOVED: Final = "it does not take us"
MOVED: Final = "we have another parent"  # why the link to the old one ends


class Moving:
    """Whom we join while we have a parent, and whom we leave when what we share is found there."""

    __slots__ = ("_why", "leaving", "target")

    def __init__(self) -> None:
        self.target: Candidate | None = None
        self._why = ""
        self.leaving: Contact | None = None
        """The parent before, which is about to be left and does not know it yet."""

    def is_to(self, peer: NodeId) -> bool:
        """Whether this is whom we join."""
        return self.target is not None and self.target.node == peer

    def needs(self, peer: NodeId) -> bool:
        """Whether a move wants the link to this one."""
        return self._is_leaving(peer) or self.is_to(peer)

    def _is_leaving(self, peer: NodeId) -> bool:
        return self.leaving is not None and self.leaving.node == peer

    @property
    def sender(self) -> Contact | None:
        """Who has sent us to the parent that we have now, until we have left it."""
        return self.leaving if self._why == ASKED else None

    def aim(self, target: Candidate, *, why: str) -> None:
        """Join this one while we have our parent."""
        self.target, self._why = target, why

    def give_up(self) -> list[Effect]:
        """It did not take us: we have a parent as long as it lives."""
        target, self.target = self.target, None
        if target is None or target.node is None:
            return []
        return [LetGo(target.node, Door.CONTROL, NOT_MOVED)]

    def arrived(self, old: Contact) -> Notify:
        """It is our parent now, and the one before is still linked; a line for the log."""
        to = self.target.node if self.target is not None else None
        said: dict[str, object] = {"from": node_text(old.node), "to": node_text(to or b"")}
        self.target, self.leaving = None, old
        return Notify("parent_moved", {**said, "reason": self._why})

    def lost(self, peer: NodeId) -> None:
        """A link is gone."""
        if self._is_leaving(peer):
            self.leaving = None

    def leave(self, joins: int) -> list[Effect]:
        """Leave the one before."""
        old, self.leaving = self.leaving, None
        if old is None:
            return []
        return [Send(old.node, Leave(joins)), LetGo(old.node, Door.CONTROL, MOVED)]
