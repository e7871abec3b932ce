"""The leaf: the machines of this role, and the tables that say which of them takes what.

It decides nothing itself but when to end. An event of the outside goes to the machines that its
row names, in that order; what a machine signals goes to others the same way, until only effects
are left. A wish that a person cannot have becomes one `Fail`. Before the end every open call is
answered; whoever asks later is refused.
"""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import ClassVar, Final

from common.config import Config, SwarmConfig
from common.core import (
    Answer,
    Asked,
    AskerLeft,
    Bound,
    Demoted,
    Dial,
    Effect,
    Event,
    Exited,
    Fail,
    Hangup,
    HostMeasured,
    Notify,
    Promoted,
    Received,
    Send,
    Stop,
    Stopped,
    Woke,
)
from common.deadlines import Deadlines, soonest
from common.doors import Door
from common.errors import Exit, UserError
from common.ids import Identity, NodeId, node_text
from common.meeting import Meeting, Seed
from common.messages.fields import Contact
from common.network import Network
from common.schedule import NOTHING_SET, LimitsRecord
from common.storage import BytesRead, ReadFailed
from leaf.downloads.downloads import Downloads
from leaf.downloads.foldergets import FolderGets
from leaf.downloads.whys import Whys
from leaf.handed import Handed
from leaf.library.library import Library
from leaf.library.publish import Publisher
from leaf.links.limits import Limits
from leaf.links.links import BulkLinks
from leaf.links.pushed import Pushed
from leaf.links.relayed import RelayedPeers
from leaf.methods import Nothing, Peer, Status
from leaf.parent.credit import Asking
from leaf.parent.parent import Parent
from leaf.parent.rounds import Rounds
from leaf.parent.succession import Succession
from leaf.parent.wayin import WayIn
from leaf.ranks.ranks import Machine, Ranks
from leaf.search.search import Searches
from leaf.search.wishes import Wishes
from leaf.signals import (
    NOBODY,
    OURS,
    FolderWanted,
    FromRelay,
    FromWeb,
    Heard,
    Signal,
    ToRelay,
    ToWeb,
    Wanted,
)
from leaf.swarm.locate import Locator
from leaf.swarm.webpeers import WebPeers
from leaf.tables import DISK, EVENTS, MESSAGES, METHODS, SIGNALS, STOPPED, Names
from leaf.uploads.exchange import Exchange
from leaf.uploads.idle import IdleLinks
from leaf.uploads.ledger import Ledger
from leaf.uploads.stock import Stock
from leaf.uploads.upload import Uploads
from leaf.uploads.webseed import WebSeed

STOP_GRACE_S: Final = 5.0  # a daemon ends within 10 s (CLI.md)

# a union made anew for each event costs more than to ask for it
_ENDS: Final = (Answer, Fail)
_TO_PEERS: Final = (Dial, Send, Hangup)


class Leaf:
    """One leaf; see the contract in `common.core`.

    `epoch` is when this life began, in wall milliseconds; `shares` are for this run only; `steps`
    of the ladder go beyond the host cache; who `promotes` may begin a network and become a
    super-peer; folders have manifests in `manifests_dir`; `limits`: of settings, and of flags,
    which go first.
    """

    __slots__ = (
        *("_asking", "_began", "_calls", "_deadlines", "_downloads", "_exchange", "_handed"),
        *("_host", "_left", "_library", "_limits", "_listen", "_locator", "_machines", "_me"),
        *("_network", "_parent", "_publisher", "_pushed", "_ranks", "_relayed", "_roles"),
        *("_idle", "_searches", "_stopping", "_succession", "_version", "_webpeers"),
    )

    def __init__(
        self,
        *,
        identity: Identity,
        config: Config,
        network: Network,
        rng: Random,
        supers: tuple[Seed, ...],
        epoch: int,
        shares: tuple[str, ...],
        downloads_dir: str,
        version: str,
        steps: Names = (),
        promotes: bool = False,
        manifests_dir: str = "/manifests",
        limits: tuple[LimitsRecord, LimitsRecord] = (NOTHING_SET, NOTHING_SET),
    ) -> None:
        me, name = self._me, self._network = identity.node, network.name
        publisher = self._publisher = Publisher(identity, name, config.parent, epoch)
        library, links = Library(shares, manifests_dir), BulkLinks(config.swarm)
        downloads = self._downloads = Downloads(
            me=me, folder=downloads_dir, library=library, links=links, config=config.swarm, rng=rng
        )
        meeting = Meeting(network, rng)
        rounds = Rounds(*(me, meeting, config.parent, supers, steps), rng=rng, promotes=promotes)
        parent = self._parent = Parent(
            me, config.parent, rounds, publisher, epoch=epoch, promotes=promotes
        )
        heir, self._library = parent.heir, library
        searches = Searches(
            *(name, config.search, rng, heir.heard_at, heir.rtt_s), lambda: parent.reason
        )
        stock, ledger, self._webpeers = Stock(library, downloads), Ledger(config.swarm), WebPeers()
        uploads = Uploads(stock, links, ledger, config.swarm, rng)
        self._searches, self._locator = searches, Locator(config.swarm, rng)
        self._ranks = Ranks(identity, name, config, rng, epoch, links.caps.up, promotes=promotes)
        self._version, self._limits = version, Limits(links.caps, *limits, config.swarm)
        self._machines: dict[str, Machine] = {
            "parent": parent,
            **self._ways(config, network, rng, promotes=promotes),
            "publisher": publisher,
            "library": library,
            "links": links,
            "downloads": downloads,
            "gets": (gets := FolderGets(me, downloads.roster, downloads_dir, manifests_dir)),
            "searches": searches,
            "wishes": Wishes(me, name, library, rng, epoch=epoch, dropped=searches.dropped),
            "locator": self._locator,
            "uploads": uploads,
            "ledger": ledger,
            "web": WebSeed(stock, links.caps.up),
            "webpeers": self._webpeers,
            **self._ranks.machines,
            **self._views(links, uploads, gets, config.swarm, rng),
        }
        self._begin()

    def _ways(
        self, config: Config, network: Network, rng: Random, *, promotes: bool
    ) -> dict[str, Machine]:
        """Into the network: what becomes of us where none is left, and how others find it by us."""
        self._succession = Succession(self._me, network, config.parent, rng, promotes=promotes)
        way_in = WayIn(self._me, network, self._parent, rng)
        return {"succession": self._succession, "wayin": way_in}

    def _views(
        self, links: BulkLinks, uploads: Uploads, gets: FolderGets, config: SwarmConfig, rng: Random
    ) -> dict[str, Machine]:
        """Machines that nobody waits for: they look at others, or tell them what may be."""
        downloads, self._relayed = self._downloads, RelayedPeers()
        self._idle = IdleLinks(links, downloads, uploads, config)
        self._pushed = Pushed(self._me, links, config)
        self._exchange = Exchange(self._me, downloads, uploads, links, self._webpeers, config, rng)
        return {
            "limits": self._limits,
            "pushed": self._pushed,
            "relayed": self._relayed,
            "idle": self._idle,
            "whys": Whys(self._me, downloads, gets, self._parent, self._locator, config),
            "exchange": self._exchange,
        }

    def _begin(self) -> None:
        """Nothing has happened yet."""
        self._calls: dict[int, None] = {}  # not answered yet
        self._listen, self._roles = "", ["leaf"]
        self._host = HostMeasured(0)
        self._began: float | None = None
        self._stopping = self._left = False
        self._asking, self._deadlines, self._handed = Asking(), Deadlines(), Handed()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; say what is to be done."""
        if self._began is None:
            self._began = now
        if isinstance(event, Received):
            self._parent.heir.heard(event.peer, now)
        elif isinstance(event, Asked):
            self._calls[event.call] = None
        elif isinstance(event, AskerLeft):
            self._calls.pop(event.call, None)
        own = self._OWN.get(type(event))
        effects = own(self, event, now) if own else []
        if not self._stopping or type(event) in DISK:
            effects += self._run(self._parts(event, now), now)
        effects = self._asking.passed(event, effects)
        self._note_answers(effects)
        if self._stopping and isinstance(event, Asked) and event.call in self._calls:
            effects += self._fail_call(event.call, Exit.REFUSED, "This leaf is stopping.")
        return effects + self._leave(now)

    def _note_answers(self, effects: list[Effect]) -> None:
        if self._calls:
            for effect in effects:
                if isinstance(effect, _ENDS):
                    self._calls.pop(effect.call, None)

    def _fail_call(self, call: int, code: Exit, reason: str) -> list[Effect]:
        del self._calls[call]
        return [Fail(call, code, reason, "Ask again when it runs.")]

    def wakeup(self) -> float | None:
        """The earliest deadline of all machines."""
        if self._stopping:
            return self._deadlines.earliest()
        return soonest([machine.wakeup() for machine in self._machines.values()])

    def snapshot(self) -> Status:
        """What `status` shows."""
        return self._status(self._began or 0.0)

    def needs(self, peer: NodeId, door: Door) -> bool:
        """Whether one of the machines wants the link to `peer` on this door."""
        if door is Door.CONTROL:
            return self._parent.needs(peer) or self._relayed.needs(peer)
        return any(each.needs(peer) for each in (self._idle, self._pushed, self._ranks.trials))

    @property
    def parent(self) -> Contact | None:
        """Our super-peer, while there is one."""
        return self._parent.contact

    # --- who takes what ---------------------------------------------------------------------

    def _takers(self, event: Event, now: float) -> Names:
        """The machines that an event is for, in order."""
        if isinstance(event, Received):
            return MESSAGES.get(type(event.message), ())
        if isinstance(event, Asked):
            return METHODS.get(event.method, ())
        if isinstance(event, Woke):
            due = [(name, machine.wakeup()) for name, machine in self._machines.items()]
            return tuple(name for name, time in due if time is not None and time <= now)
        if isinstance(event, (BytesRead, ReadFailed)) and event.read < 0:
            return ("web",)  # which counts its reads downwards
        return EVENTS.get(type(event), ())

    def _parts(self, event: Event, now: float) -> list[tuple[Event, Names]]:
        return self._handed.parts(event) or [(event, self._takers(event, now))]

    def _run(self, events: list[tuple[Event, Names]], now: float) -> list[Effect]:
        """Feed events, and then all that the machines signal one another because of them."""
        effects: list[Effect] = []
        inbox = deque(events)
        while inbox:
            inner, names = inbox.popleft()
            for name in names:
                for out in self._feed(name, inner, now):
                    if isinstance(out, _TO_PEERS):
                        self._handed.over(out)
                        if self._relayed.takes(out):
                            inbox.append((ToRelay(out), SIGNALS[ToRelay]))
                        elif self._webpeers.knows(out.peer):
                            inbox.append((ToWeb(out), SIGNALS[ToWeb]))
                        else:
                            effects.append(out)
                    elif isinstance(out, (FromWeb, FromRelay)):
                        inbox.extend(self._parts(out.event, now))
                    elif isinstance(out, Signal):
                        inbox.append((out, SIGNALS[type(out)]))
                    elif isinstance(out, _ENDS) and out.call <= OURS:
                        inbox.append((Heard(out.call, out), SIGNALS[Heard]))
                    elif isinstance(out, _ENDS) and out.call == NOBODY:
                        effects += _unheard(out)
                    else:
                        effects.append(out)
        return effects

    def _feed(self, name: str, event: Event, now: float) -> list[Effect]:
        try:
            return self._machines[name].handle(event, now)
        except UserError as error:
            if isinstance(event, Asked | Wanted | FolderWanted):
                return [Fail(event.call, error.code, error.message, error.hint)]
            raise

    # --- what is the role's own -------------------------------------------------------------

    def _bound(self, event: Bound, _now: float) -> list[Effect]:
        self._listen = str(event.control)
        return []

    def _host_measured(self, event: HostMeasured, _now: float) -> list[Effect]:
        self._host = event
        return []

    def _promoted(self, _event: Promoted, _now: float) -> list[Effect]:
        self._roles = ["leaf", "superpeer"]
        return [Notify("promoted")]

    def _demoted(self, _event: Demoted, _now: float) -> list[Effect]:
        self._roles = ["leaf"]
        return [Notify("demoted")]

    def _asked(self, event: Asked, now: float) -> list[Effect]:
        if event.method == "leaf.status":
            return [Answer(event.call, self._status(now))]
        if event.method == "leaf.stop":
            others = [Stop(STOP_GRACE_S)] if len(self._roles) > 1 else []
            stopped = self._stopped(Stopped(STOP_GRACE_S), now)
            return [Answer(event.call, Nothing()), *others, *stopped]
        return []

    def _status(self, now: float) -> Status:
        contact, told = self._parent.contact, self._ranks.errands.told
        began = now if self._began is None else self._began
        dropped = {**self._host.dropped, **self._searches.dropped, **self._locator.dropped}
        dropped |= self._asking.dropped | self._exchange.dropped
        if self._publisher.left_out:
            dropped["files above the parent's limit"] = self._publisher.left_out
        return Status(
            node=node_text(self._me),
            roles=list(self._roles),
            listen=self._listen,
            network=self._network,
            parent=Peer.of(contact),
            parent_reason=self._parent.reason,
            parent_refused=self._parent.refused,
            parent_source=self._parent.source,
            line=len(self._succession.line),
            heir=Peer.of(self._parent.heir.contact),
            shared_files=self._library.files,
            shared_bytes=self._library.size_bytes,
            fetched_files=len(self._downloads.offers),
            fetched_bytes=self._downloads.offers.bytes,
            left_out=self._library.left_out,
            pending_files=self._library.pending,
            reachable=told.reachable,
            up_rate=told.up_rate,
            down_rate=told.down_rate,
            up_limit=self._limits.up,
            down_limit=self._limits.down,
            uptime_s=round(now - began, 3),
            rss_bytes=self._host.rss_bytes,
            version=self._version,
            dropped=dropped,
        )

    # --- the end ----------------------------------------------------------------------------

    def _stopped(self, event: Stopped, now: float) -> list[Effect]:
        if self._stopping:
            return []
        self._stopping = True
        self._deadlines.set("grace", now + event.grace_s)
        return self._run([(event, STOPPED)], now)

    def _leave(self, now: float) -> list[Effect]:
        """Once stopping, end when no file is just being finished, or when the grace is over."""
        if not self._stopping or self._left:
            return []
        if self._downloads.unfinished and not self._deadlines.pop_due(now):
            return []
        self._left = True
        self._deadlines.cancel("grace")
        code, why = Exit.UNFINISHED, "The leaf stops before this is done."
        fails = [each for call in list(self._calls) for each in self._fail_call(call, code, why)]
        return [*fails, Exited()]

    _OWN: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Bound: _bound,
        HostMeasured: _host_measured,
        Promoted: _promoted,
        Demoted: _demoted,
        Asked: _asked,
        Stopped: _stopped,
    }


def _unheard(ended: Answer | Fail) -> list[Effect]:
    """What the leaf asked itself to fetch begins without a word, or says here why not."""
    return [Notify("not_fetched", {"reason": ended.message})] if isinstance(ended, Fail) else []
