"""A leaf's standing searches: kept over restarts, told to each parent, and what they have found.

The parent looks for them (`superpeer.search.wishes`); the same file may come many times, from it
and from the next one. So the leaf alone knows what is new: every hit is proven as one of a search
is, and each content is told once for each wish, ever. What we share ourselves is no find.

A wish ends in bounds: it tells of FILES_MAX files, then it is looked for no longer; with `auto_get`
it begins at most so many downloads of so many bytes. What is found is remembered before its
download begins.
"""

from collections.abc import Callable
from random import Random
from typing import ClassVar, Final

from msgspec.structs import replace

from common.addresses import Address
from common.calendar import utc_text
from common.content.torrent import file_id, magnet
from common.core import (
    Answer,
    Asked,
    AskerLeft,
    Effect,
    Event,
    Notify,
    Received,
    Send,
    Tell,
)
from common.errors import Exit, UserError
from common.ids import Guid, NodeId, new_guid
from common.limits import WISH_BYTES_MAX, WISHES_PER_LEAF_MAX
from common.messages.cluster import Hit, Unwish, Wish, Wished, WishHits
from common.messages.fields import Message
from common.names import safe_name
from common.storage import RememberWish, Restored, WishedFile, WishRecord
from common.terms import Terms
from leaf.library.library import Library
from leaf.methods import Get, WishAdd, WishChosen, WishedRow, WishRow
from leaf.search.hits import Verifier
from leaf.search.wording import terms_of
from leaf.signals import NOBODY, Joined, Orphaned, Wanted

FILES_MAX: Final = 200  # of one wish: 30 KB of memory and disk; wild guess
WATCHERS_MAX: Final = 16
BYTES_MAX: Final = 2**60  # that one may be told to fetch


class _Wish:
    """One standing search."""

    __slots__ = ("fault", "guid", "known", "record", "terms", "watched")

    def __init__(self, record: WishRecord, terms: Terms, guid: Guid) -> None:
        self.record = record
        self.terms = terms
        self.guid = guid  # what the parent knows it by
        self.known = {(each.root, each.size): None for each in record.files}
        self.watched = False
        self.fault = ""  # why the parent does not look for it

    @property
    def is_full(self) -> bool:
        return len(self.known) >= FILES_MAX

    @property
    def fetched(self) -> list[WishedFile]:
        return [each for each in self.record.files if each.fetched]

    def takes(self, size: int) -> bool:
        """Whether a file of this size may be fetched for it."""
        record, fetched = self.record, self.fetched
        spent = sum(each.size for each in fetched)
        fits = spent + size <= record.bytes_max
        return record.auto_get and len(fetched) < record.files_max and fits


class Wishes:
    """The wishes of one leaf, by number.

    `epoch` is the wall time of its beginning in ms; what is not believed is counted in `dropped`.
    """

    def __init__(
        self,
        me: NodeId,
        network: str,
        library: Library,
        rng: Random,
        *,
        epoch: int,
        dropped: dict[str, int],
    ) -> None:
        self._me = me
        self._verifier = Verifier(network)
        self._library = library
        self._epoch_s = epoch / 1000
        self._rng = rng
        self._wishes: dict[int, _Wish] = {}
        self._by_guid: dict[Guid, _Wish] = {}
        self._last_number = 0
        self._watchers: dict[int, int] = {}  # call -> wish, or 0 for all
        self._parent: NodeId | None = None
        self._parent_address: Address | None = None
        self._began: float | None = None
        self._dropped = dropped

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; UserError for what a person cannot wish for."""
        if self._began is None:
            self._began = now
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """Nothing is waited for."""
        return None

    # --- people -----------------------------------------------------------------------------

    def _asked(self, event: Asked, now: float) -> list[Effect]:
        return self._METHODS[event.method](self, event, now)

    def _asked_add(self, event: Asked, now: float) -> list[Effect]:
        """A new wish; or the same words again, which may fetch otherwise now."""
        params = event.params
        if not isinstance(params, WishAdd):
            raise TypeError(event.method)
        terms = _checked(params)
        effects: list[Effect] = []
        wish = next((each for each in self._wishes.values() if each.terms == terms), None)
        fetching = params.auto_get, params.max_files, params.max_bytes
        if wish is None:
            wish = self._add(params, terms, now)
            effects = self._tell(wish)
        auto_get, files_max, bytes_max = fetching
        wish.record = replace(
            wish.record, auto_get=auto_get, files_max=files_max, bytes_max=bytes_max
        )
        return [*effects, RememberWish(wish.record), Answer(event.call, self._row(wish))]

    def _add(self, params: WishAdd, terms: Terms, now: float) -> _Wish:
        if len(self._wishes) >= WISHES_PER_LEAF_MAX:
            message = f"There are {WISHES_PER_LEAF_MAX} wishes already."
            raise UserError(Exit.REFUSED, message, "Remove one with `leaf wish rm`.")
        self._last_number += 1
        record = WishRecord(
            self._last_number,
            tuple(params.words),
            params.type,
            tuple(params.ext),
            params.min_size,
            params.max_size,
            params.auto_get,
            params.max_files,
            params.max_bytes,
            self._wall_s(now),
        )
        return self._keep(record, terms)

    def _asked_ls(self, event: Asked, _now: float) -> list[Effect]:
        number = event.params.id if isinstance(event.params, WishChosen) else 0
        chosen = [self._chosen(number)] if number else list(self._wishes.values())
        return [Answer(event.call, [self._row(each) for each in chosen])]

    def _asked_rm(self, event: Asked, _now: float) -> list[Effect]:
        if not isinstance(event.params, WishChosen) or not event.params.id:
            raise UserError(Exit.USAGE, "Say which wish to remove.", "`leaf wish ls` shows them.")
        wish = self._chosen(event.params.id)
        del self._wishes[wish.record.number]
        del self._by_guid[wish.guid]
        forget = RememberWish(wish.record, forget=True)
        left = Answer(event.call, [self._row(each) for each in self._wishes.values()])
        return [*self._untell(wish), forget, left]

    def _asked_watch(self, event: Asked, _now: float) -> list[Effect]:
        """Tell of all that is found, so far and from now on, until who asked leaves."""
        if len(self._watchers) >= WATCHERS_MAX:
            raise UserError(Exit.REFUSED, f"{WATCHERS_MAX} others watch already.")
        number = event.params.id if isinstance(event.params, WishChosen) else 0
        self._watchers[event.call] = number
        return [
            Tell(event.call, _file_row(wish.record.number, file))
            for wish in ([self._chosen(number)] if number else self._wishes.values())
            for file in wish.record.files
        ]

    def _asker_left(self, event: AskerLeft, _now: float) -> list[Effect]:
        self._watchers.pop(event.call, None)
        return []

    def _chosen(self, number: int) -> _Wish:
        if number not in self._wishes:
            hint = "`leaf wish ls` shows their ids."
            raise UserError(Exit.NOTHING_FOUND, f"There is no wish {number}.", hint)
        return self._wishes[number]

    def _row(self, wish: _Wish) -> WishRow:
        record, fetched = wish.record, wish.fetched
        return WishRow(
            id=record.number,
            words=list(record.words),
            type=record.kind,
            ext=list(record.extensions),
            min_size=record.size_min,
            max_size=record.size_max,
            since=utc_text(record.since_s),
            watched=wish.watched,
            hits=len(record.files),
            auto_get=record.auto_get,
            max_files=record.files_max,
            max_bytes=record.bytes_max,
            fetched_files=len(fetched),
            fetched_bytes=sum(each.size for each in fetched),
            reason=self._reason(wish),
            files=[_file_row(record.number, each) for each in record.files],
        )

    def _reason(self, wish: _Wish) -> str:
        if wish.is_full:
            return f"it has found {FILES_MAX} files, as many as a wish tells of"
        if wish.fault:
            return f"the super-peer does not look for it: {wish.fault}"
        if self._parent is None:
            return "there is no super-peer now"
        if not wish.watched:
            return "the super-peer has not said that it looks for it"
        if wish.record.auto_get and not wish.takes(0):
            return "it has fetched as much as it may"
        return ""

    # --- the parent -------------------------------------------------------------------------

    def _restored(self, event: Restored, _now: float) -> list[Effect]:
        for record in event.wishes[:WISHES_PER_LEAF_MAX]:
            self._last_number = max(self._last_number, record.number)
            try:
                terms = terms_of(_params(record))
            except UserError:
                continue  # kept by a later version, for what this one cannot ask
            self._keep(record, terms)
        return []

    def _keep(self, record: WishRecord, terms: Terms) -> _Wish:
        wish = _Wish(record, terms, new_guid(self._rng))
        self._wishes[record.number] = self._by_guid[wish.guid] = wish
        return wish

    def _joined(self, event: Joined, _now: float) -> list[Effect]:
        self._parent, self._parent_address = event.parent, event.address
        return [effect for wish in self._wishes.values() for effect in self._tell(wish)]

    def _orphaned(self, _event: Orphaned, _now: float) -> list[Effect]:
        self._parent = None
        for wish in self._wishes.values():
            wish.watched, wish.fault = False, ""
        return []

    def _tell(self, wish: _Wish) -> list[Effect]:
        if self._parent is None or wish.is_full:
            return []
        return [Send(self._parent, Wish(wish.guid, wish.terms, wish.record.told))]

    def _untell(self, wish: _Wish) -> list[Effect]:
        wish.watched = False
        return [] if self._parent is None else [Send(self._parent, Unwish(wish.guid))]

    def _received(self, event: Received, now: float) -> list[Effect]:
        if event.peer != self._parent:
            return self._drop("not from the parent")
        return self._MESSAGES[type(event.message)](self, event.message, now)

    def _on_wished(self, message: Wished, _now: float) -> list[Effect]:
        wish = self._by_guid.get(message.wish)
        if wish is None:
            return []
        wish.watched, wish.fault = not message.refused, message.refused
        if message.refused or wish.record.told:
            return []
        wish.record = replace(wish.record, told=True)
        return [RememberWish(wish.record)]

    # --- what is found ----------------------------------------------------------------------

    def _on_hits(self, message: WishHits, now: float) -> list[Effect]:
        wish = self._by_guid.get(message.wish)
        if wish is None or self._parent_address is None:
            return self._drop("hits of no wish")
        new = [hit for hit in message.hits if self._is_news(wish, hit, self._parent_address)]
        effects: list[Effect] = []
        for hit in new:
            effects += self._found(wish, hit, now)
        if new:
            effects = [RememberWish(wish.record), *effects]
        return effects + (self._untell(wish) if new and wish.is_full else [])

    def _is_news(self, wish: _Wish, hit: Hit, teller: Address) -> bool:
        """Whether this is a file to tell of; it is known from here on."""
        content = (hit.entry.root, hit.entry.size)
        if content in wish.known or wish.is_full or hit.source.node == self._me:
            return False
        fault = self._verifier.fault(hit, wish.terms, teller)
        if fault:
            self._drop(fault)
            return False
        if self._library.find(*content) is not None:
            return False
        wish.known[content] = None
        return True

    def _found(self, wish: _Wish, hit: Hit, now: float) -> list[Effect]:
        root, size, name = hit.entry.root, hit.entry.size, safe_name(hit.entry.name)
        fetch = wish.takes(size)
        file = WishedFile(root, size, name, self._wall_s(now), fetch)
        wish.record = replace(wish.record, files=(*wish.record.files, file))
        number = wish.record.number
        row = _file_row(number, file)
        effects: list[Effect] = [
            Tell(call, row) for call, chosen in self._watchers.items() if chosen in (0, number)
        ]
        effects.append(Notify("wish_found", {"wish": number, "id": row.id, "name": name}))
        if fetch:
            get = Get(row.id, detach=True)
            effects.append(Wanted(NOBODY, get, root, size, name, (hit.source,)))
        return effects

    def _wall_s(self, now: float) -> float:
        return self._epoch_s + now - (now if self._began is None else self._began)

    def _drop(self, reason: str) -> list[Effect]:
        self._dropped[reason] = self._dropped.get(reason, 0) + 1
        return []

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Asked: _asked,
        AskerLeft: _asker_left,
        Joined: _joined,
        Orphaned: _orphaned,
        Received: _received,
        Restored: _restored,
    }

    _METHODS: ClassVar[dict[str, Callable[..., list[Effect]]]] = {
        "leaf.wish_add": _asked_add,
        "leaf.wish_ls": _asked_ls,
        "leaf.wish_rm": _asked_rm,
        "leaf.wish_watch": _asked_watch,
    }

    _MESSAGES: ClassVar[dict[type[Message], Callable[..., list[Effect]]]] = {
        Wished: _on_wished,
        WishHits: _on_hits,
    }


def _checked(params: WishAdd) -> Terms:
    """The terms of what was typed; UserError for what cannot be wished for."""
    terms = terms_of(params)
    if terms.bytes > WISH_BYTES_MAX:
        raise UserError(Exit.USAGE, f"A wish has at most {WISH_BYTES_MAX} bytes of words.")
    if not 1 <= params.max_files <= FILES_MAX:
        raise UserError(Exit.USAGE, f"--max-files is not between 1 and {FILES_MAX}.")
    if not 0 <= params.max_bytes <= BYTES_MAX:
        raise UserError(Exit.USAGE, f"--max-bytes is not between 0 and {BYTES_MAX}.")
    return terms


def _params(record: WishRecord) -> WishAdd:
    return WishAdd(
        words=list(record.words),
        type=record.kind,
        ext=list(record.extensions),
        min_size=record.size_min,
        max_size=record.size_max,
    )


def _file_row(number: int, file: WishedFile) -> WishedRow:
    one, found = file_id(file.root, file.size), utc_text(file.found_s)
    link = magnet(file.name, file.root, file.size)
    return WishedRow(number, one, file.name, file.size, found, file.fetched, link)
