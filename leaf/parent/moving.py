"""A move from one parent to another, without a moment between.

    STAYING --ReHome--> JOINING --Welcome--> LEAVING --found there, or too late--> STAYING
                            '--- Busy, LinkDown, too late: as if nothing had been ---'

The old parent stays ours until the new one has welcomed us, and linked until what we share is found
there; only then do we `Leave`. Where the new one has all that we share already, as an heir does,
that is at once. Here stands how far a move is; `leaf.parent.parent` does it.
"""

from typing import Final

from common.core import Effect, Hangup, Notify, Send
from common.doors import Door
from common.ids import NodeId, node_text
from common.messages.cluster import Join, Leave
from leaf.parent.candidates import Candidate

LEAVE_TIMES: Final = 4.0  # times `join_s`: how long what we share may take to be found there
ASKED: Final = "our super-peer asked for it: it sheds load, ends, or another has a copy of ours"
SILENT: Final = "our super-peer was silent"
NOT_MOVED: Final = "it does not take us"
MOVED: Final = "we have another parent"  # why the link to the old one ends


class Moving:
    """Whom we join while we have a parent, and whom we leave when what we share is found there."""

    __slots__ = ("_old", "_old_dialled", "_why", "dialled", "target")

    def __init__(self) -> None:
        self.target: Candidate | None = None
        self.dialled = False
        """Whether the link to it is ours to end."""
        self._why = ""
        self._old: NodeId | None = None
        self._old_dialled = False

    def is_to(self, peer: NodeId) -> bool:
        """Whether this is whom we join."""
        return self.target is not None and self.target.node == peer

    def aim(self, target: Candidate, *, dialled: bool, why: str) -> None:
        """Join this one while we have our parent."""
        self.target, self.dialled, self._why = target, dialled, why

    @property
    def leaving(self) -> NodeId | None:
        """The parent before, which is about to be left and does not know it yet."""
        return self._old

    def give_up(self, parent: Send | None) -> list[Effect]:
        """It did not take us: we have a parent as long as it lives. What we say to that one once
        more, by a later `Join`, makes it so also where a welcome is still on its way."""
        target, self.target = self.target, None
        if target is None or target.node is None:
            return []
        effects: list[Effect] = []
        if parent is not None and isinstance(parent.message, Join):
            effects = [parent, Send(target.node, Leave(parent.message.joins))]
        hangup = [Hangup(target.node, Door.CONTROL, NOT_MOVED)] if self.dialled else []
        return [*effects, *hangup]

    def arrived(self, old: NodeId, *, old_dialled: bool) -> Notify:
        """It is our parent now, and the one before is still linked; a line for the log."""
        to = self.target.node if self.target is not None else None
        said: dict[str, object] = {"from": node_text(old), "to": node_text(to or b"")}
        moved = Notify("parent_moved", {**said, "reason": self._why})
        self.target, self._old, self._old_dialled = None, old, old_dialled
        return moved

    def lost(self, peer: NodeId) -> None:
        """A link is gone."""
        if peer == self._old:
            self._old = None

    def leave(self, me: NodeId, joins: int, *, keeps_links: bool) -> list[Effect]:
        """Leave the one before; a node that `keeps_links` may need them as a super-peer."""
        old, self._old = self._old, None
        if old is None:
            return []
        ours = old == me or (self._old_dialled and not keeps_links)
        hangup = [Hangup(old, Door.CONTROL, MOVED)] if ours else []
        return [Send(old, Leave(joins)), *hangup]
