"""The contract: a protocol is a value, not a process.

    handle(event, now) -> list[Effect]     the only mutator
    wakeup() -> float | None               the earliest deadline
    snapshot() -> ...                      feeds status, logs and checkers

`now` is monotonic seconds. Events are past tense, effects are orders. The shell performs effects
and feeds the answers back as events; the simulator does the same in virtual time. There are two
layers of the same shape. Between shell and `Node`: links by number (`LinkOpened`, `OpenLink`).
Between `Node` and a role: peers by key (`LinkUp`, `Dial`); `Node` does the `hello` between them.
What concerns files and disks stands in `common.storage`.
"""

from typing import Protocol

import msgspec

from common.addresses import Address
from common.doors import Door
from common.errors import Exit
from common.ids import NodeId
from common.messages.fields import Message


class Event(msgspec.Struct, frozen=True):
    """Something happened."""


class Effect(msgspec.Struct, frozen=True):
    """Something is to be done."""


class Core(Protocol):
    """What a role, a node and every machine inside them look like."""

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; say what is to be done."""

    def wakeup(self) -> float | None:
        """When a `Woke` is wanted, or None."""

    def snapshot(self) -> msgspec.Struct:
        """What status, logs and checkers may see; a copy."""


class Role(Core, Protocol):
    """What `common.node` asks of a role beside that: a link that we made lasts as long as a role
    needs it."""

    def needs(self, peer: NodeId, door: Door) -> bool:
        """Whether anything of this role wants the link to `peer` on this door, as of now."""


class Woke(Event, frozen=True):
    """The time that `wakeup` asked for has come; what arrived until then was fed before."""


# --- between shell and node -----------------------------------------------------------------


class Bound(Event, frozen=True):
    """Our doors are open here; `bulk` is None for a node without one."""

    control: Address
    bulk: Address | None


class LinkOpened(Event, frozen=True):
    """A link's handshake is over; `curve_key` is the other end's, `dial` our `OpenLink`'s."""

    link: int
    door: Door
    curve_key: bytes
    address: Address  # the other end as we see it
    dial: int | None = None  # None: they dialled


class FrameReceived(Event, frozen=True):
    """One message of a frame; `data` is the second frame of the message that carries one."""

    link: int
    message: Message
    data: memoryview | None = None


class FrameRejected(Event, frozen=True):
    """What came over this link is not our protocol."""

    link: int
    reason: str


class LinkHeard(Event, frozen=True):
    """Bytes of a frame that is not whole yet came over this link: the other end lives."""

    link: int


class DataSent(Event, frozen=True):
    """This much data that was ordered sent over this link has left our hands."""

    link: int
    length: int


class LinkStuck(Event, frozen=True):
    """The other end takes so little of what we send that the link is as good as lost."""

    link: int


class LinkClosed(Event, frozen=True):
    """A link is gone."""

    link: int
    reason: str


class DialFailed(Event, frozen=True):
    """No link came of this `OpenLink`."""

    dial: int
    reason: str


class DatagramReceived(Event, frozen=True):
    """A ping or a pong of `length` bytes (0: as long as we would write it)."""

    address: Address
    message: Message
    length: int = 0


class OpenLink(Effect, frozen=True):
    """Dial `address`, which must prove `curve_key`; `dial` is ours to know the answer by."""

    dial: int
    door: Door
    address: Address
    curve_key: bytes


class SendFrame(Effect, frozen=True):
    """Send over this link; what one turn sends over one link travels as one frame."""

    link: int
    message: Message
    data: memoryview | bytes | None = None


class CloseLink(Effect, frozen=True):
    """Hang up, after what was sent before has had a moment to leave."""

    link: int
    reason: str


class SendDatagram(Effect, frozen=True):
    """Send a ping or a pong."""

    address: Address
    message: Message


# --- between node and role ------------------------------------------------------------------


class LinkUp(Event, frozen=True):
    """`peer` proved its key and network on this door; `address` is where its door listens."""

    peer: NodeId
    door: Door
    address: Address  # the observed host, and the port it listens on (control or bulk)
    observed: Address  # where it sees us
    inbound: bool
    bulk_port: int = 0


class LinkDown(Event, frozen=True):
    """The link to `peer` on this door is gone, or could not be made."""

    peer: NodeId
    door: Door
    reason: str


class LinkMeasured(Event, frozen=True):
    """The round trip to `peer`, from its echoes, smoothed."""

    peer: NodeId
    door: Door
    rtt_s: float


class Received(Event, frozen=True):
    """`peer` sent a message that the table routes to this role."""

    peer: NodeId
    message: Message
    data: memoryview | None = None


class Sent(Event, frozen=True):
    """This much data for `peer` has left our hands; so much more may be read for it."""

    peer: NodeId
    length: int


class Dial(Effect, frozen=True):
    """Make a link to `peer`; answered by `LinkUp` or `LinkDown`; nothing if there is one."""

    peer: NodeId
    address: Address
    door: Door


class Send(Effect, frozen=True):
    """Send to `peer` by the door of the table; dropped where there is no link."""

    peer: NodeId
    message: Message
    data: memoryview | bytes | None = None


class LetGo(Effect, frozen=True):
    """Whoever orders this wants the link to `peer` on this door no longer: it ends if it is of our
    making and no role `needs` it, and then `LinkDown` follows. Costs nothing where it is wrong. Who
    `refuses` the other end ends as well what that end has made, but nothing that a role needs."""

    peer: NodeId
    door: Door
    reason: str
    refuses: bool = False


class Hangup(Effect, frozen=True):
    """End the link to `peer` on this door, whoever made it and whoever wants it: it is at fault, or
    was silent too long. `LinkDown` follows."""

    peer: NodeId
    door: Door
    reason: str


# --- roles ----------------------------------------------------------------------------------


class Promote(Effect, frozen=True):
    """Take up the second role too, beginning with these super-peers as neighbours."""

    seeds: tuple[tuple[NodeId, Address], ...]


class Demote(Effect, frozen=True):
    """Lay down the super-peer's role."""


class Promoted(Event, frozen=True):
    """This node is a super-peer now too; `me` is where its own leaf role finds it."""

    me: NodeId
    seeds: tuple[tuple[NodeId, Address], ...] = ()


class Demoted(Event, frozen=True):
    """This node is no super-peer any more."""


# --- people ---------------------------------------------------------------------------------


class Asked(Event, frozen=True):
    """A command called a method of the role's table."""

    call: int
    method: str
    params: msgspec.Struct


class HostMeasured(Event, frozen=True):
    """What only the shell knows of this process; fed before each `Asked`."""

    rss_bytes: int
    dropped: dict[str, int] = {}  # frames, datagrams and links, by reason


class AskerLeft(Event, frozen=True):
    """Nobody waits for the answer of this call any more."""

    call: int


class Tell(Effect, frozen=True):
    """One event of a call that streams."""

    call: int
    event: msgspec.Struct


class Answer(Effect, frozen=True):
    """The result of a call."""

    call: int
    result: object


class Fail(Effect, frozen=True):
    """A call could not be done: one sentence, one fix, an exit code."""

    call: int
    code: Exit
    message: str
    hint: str = ""


class Notify(Effect, frozen=True):
    """A line for the log and for the checkers: an event name and its fields."""

    name: str
    fields: dict[str, object] = {}
    level: str = "info"


class Stopped(Event, frozen=True):
    """The program was asked to end: say goodbye and finish what cannot wait."""

    grace_s: float


class Stop(Effect, frozen=True):
    """Have every role of this node hear `Stopped`."""

    grace_s: float


class Exited(Effect, frozen=True):
    """Nothing is left to do: the program may end."""
