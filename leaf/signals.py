"""What the machines of a leaf tell one another; none of it ever leaves the leaf.

A signal is an event to the machine that takes it and an effect of the one that gives it: the role
passes it on by its table and the shell never sees it. So no machine holds another one to call.
"""

from typing import Final

from common.addresses import Address
from common.content.catalogue import Entry
from common.core import Answer, Effect, Event, Fail
from common.errors import Exit
from common.ids import NodeId
from common.messages.fields import Contact
from common.storage import DownloadRecord
from leaf.methods import DownloadRow, Get

NOBODY: Final = -1  # a call that nobody made: its answer ends in the leaf
OURS: Final = -2  # and below: calls of the leaf itself, answered by `Heard`


class Signal(Event, Effect, frozen=True):
    """The root of all signals."""


class Given(Signal, frozen=True):
    """This leaf sent us so many bytes of pieces that were proven."""

    peer: NodeId
    length: int


class Joined(Signal, frozen=True):
    """We have a parent, and it holds this generation of our catalogue (0: none)."""

    parent: NodeId
    address: Address
    generation: int
    entries_max: int


class Orphaned(Signal, frozen=True):
    """The parent is gone; `soon`: its heir is being joined, what is asked now can wait for it."""

    soon: bool = False


class Inherits(Signal, frozen=True):
    """The parent has an heir that can be asked at once; or (None) has none any more."""

    heir: Contact | None


class Alone(Signal, frozen=True):
    """A round found no super-peer, for this `reason`; `may_begin`: nobody is there at all, and we
    were told of nobody, so that we could begin the network ourselves."""

    reason: str
    may_begin: bool


class Named(Signal, frozen=True):
    """Others in line have these super-peers: one of them may be our parent."""

    superpeers: tuple[Contact, ...]


class Offered(Signal, frozen=True):
    """These entries are shared from now on, by our own key for each; those keys no longer are.

    `revision` counts the changes of the library, so that it can wait for one of them.
    """

    puts: tuple[tuple[str, Entry], ...] = ()
    drops: tuple[str, ...] = ()
    revision: int = 0


class Acknowledged(Signal, frozen=True):
    """The parent holds everything that was offered up to this revision."""

    revision: int


class Wanted(Signal, frozen=True):
    """Somebody wants this file: what it is, how it is called, and leaves that have it."""

    call: int
    params: Get
    root: bytes
    size: int
    name: str
    sources: tuple[Contact, ...]
    urls: tuple[str, ...] = ()  # web servers among them
    folder: str = ""  # the id of the folder that it is a file of


class FolderWanted(Signal, frozen=True):
    """Somebody wants this folder, or what may be one: its manifest, by what it is and its name."""

    call: int
    params: Get
    root: bytes
    size: int
    name: str
    sources: tuple[Contact, ...]
    urls: tuple[str, ...] = ()  # web servers among them


class FolderFound(Signal, frozen=True):
    """What was fetched by its content alone, and is none of the downloads any more, is the manifest
    of a folder; those in `calls` wait for it, with their patience in seconds."""

    record: DownloadRecord
    calls: tuple[tuple[int, float], ...]
    sources: tuple[Contact, ...]


class Heard(Signal, frozen=True):
    """What became of a `Wanted` that the leaf itself made for a folder, under its number."""

    call: int
    outcome: Answer | Fail


class Moved(Signal, frozen=True):
    """A download is in another state; removed where it is none any more."""

    number: int
    record: DownloadRecord
    code: Exit
    removed: bool = False


class Forgotten(Signal, frozen=True):
    """This finished download is to be remembered no longer."""

    number: int


class Adopted(Signal, frozen=True):
    """What was fetched as part of one folder belongs to another from now on, by their ids."""

    folder: str
    by: str


class Listed(Signal, frozen=True):
    """The answer of a call, but for the folders: downloads that are no files of one."""

    call: int
    rows: tuple[DownloadRow, ...]


class SourcesWanted(Signal, frozen=True):
    """A download needs more sources, until `SourcesUnwanted`."""

    root: bytes
    size: int


class PushWanted(Signal, frozen=True):
    """A download cannot dial this source of the file: it is to dial us."""

    root: bytes
    peer: NodeId


class SourcesUnwanted(Signal, frozen=True):
    """It has enough, or fetches no more."""

    root: bytes


class SourcesFound(Signal, frozen=True):
    """Leaves that are said to have it; `done` when this was all.

    `is_hearsay`: other leaves named them, so each is dialled once at most.
    """

    root: bytes
    contacts: tuple[Contact, ...]
    done: bool = False
    is_hearsay: bool = False
    name: str = ""  # how one of them calls the file


class ToWeb(Signal, frozen=True):
    """A download orders something about a peer that is a web server."""

    order: Effect


class FromWeb(Signal, frozen=True):
    """What such a peer would say or do; it goes where that goes of any other."""

    event: Event


class RelayWanted(Signal, frozen=True):
    """We were to dial this leaf and could not; its parent may pass on what we say."""

    peer: NodeId
    relay: Contact


class ToRelay(Signal, frozen=True):
    """Something is ordered about the bulk link of a leaf beyond a relay."""

    order: Effect


class FromRelay(Signal, frozen=True):
    """What came of it, or from there; it goes where that goes of any other."""

    event: Event


class Started(Signal, frozen=True):
    """A download's turn has come."""


class Resumed(Signal, frozen=True):
    """A download is to wait for its turn again."""


class Streamed(Signal, frozen=True):
    """Somebody reads the file of a download while it comes: in order from now on."""


class Halted(Signal, frozen=True):
    """A download is to rest; with `delete` its partial file is to go, open or not."""

    delete: bool = False


class Allotted(Signal, frozen=True):
    """How many links and how many bytes on their way one download may have."""

    links: int
    bytes_max: int


class Limited(Signal, frozen=True):
    """So many leaves may be served at once from now on."""

    slots: int


class PiecesProven(Signal, frozen=True):
    """These pieces of a download are stored and can be served."""

    root: bytes
    size: int
    pieces: tuple[int, ...]


class Withdrawn(Signal, frozen=True):
    """We no longer have this file, or not in the form that we promised."""

    root: bytes
