"""The hits that a hostile super-peer makes up, and the true ones that it changes.

A forged hit has no signature that fits; one of the forger's own is duly signed and leads to
nothing; an altered one was true before it passed here. True hits are collected from what others
answer, a few dozen, as raw material.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

import msgspec

from common import wire
from common.addresses import Address
from common.content.catalogue import Entry, slot_hash, statement
from common.errors import RemoteProtocolError
from common.ids import curve_key
from common.messages.cluster import Hit
from common.messages.fields import Contact
from common.messages.overlay import QueryBody
from deploy.sim.hostile.nature import Nature

KEPT_MAX: Final = 40


class Forgeries:
    """Makes hits for a query."""

    def __init__(self, nature: Nature, done: Counter[str]) -> None:
        self._nature = nature
        self._rng = nature.rng
        self._done = done
        self._true: list[Hit] = []
        self._victim = nature.nearby  # where all that we name are said to be

    def collect(self, hits: Sequence[Hit]) -> None:
        """Remember true hits, to change them later."""
        self._true = [*self._true, *hits][-KEPT_MAX:]

    def some(self, body: bytes, count: int) -> list[Hit]:
        """That many hits for the query with this body, of all kinds."""
        entry = self._entry(body)
        hits: list[Hit] = []
        while len(hits) < count:
            kind = self._rng.choice(list(self._KINDS))
            made = self._KINDS[kind](self, entry)
            if made is not None:
                self._done[f"hit {kind}"] += 1
                hits.append(made)
            elif not self._true:
                hits.append(self._forged(entry))
        return hits[:count]

    def sources(self, count: int) -> tuple[Contact, ...]:
        """Leaves that are not there."""
        return tuple(self._nobody() for _ in range(count))

    def strangers(self, count: int) -> tuple[Contact, ...]:
        """Super-peers that are not there, all at the one place at which we aim dials."""
        return tuple(Contact(self._key(), self._victim) for _ in range(count))

    def _key(self) -> bytes:
        """A key that somebody might have, mostly."""
        node = self._rng.randbytes(32)
        while not _is_key(node) and self._rng.random() < 0.9:
            node = self._rng.randbytes(32)
        return node

    def _nobody(self) -> Contact:
        """A leaf that is not there: with a key that is none, so that nobody dials it, or with one
        that might be, at a place where nobody is or at one that is not a leaf's."""
        rng = self._rng
        if rng.random() < 0.5:
            places = [self._nature.nearby, *[seed.address for seed in self._nature.told]]
            return Contact(self._key(), rng.choice(places))
        node = rng.randbytes(32)
        while _is_key(node):
            node = rng.randbytes(32)
        return Contact(node, self._nature.nearby)

    def _ourselves(self) -> Contact:
        """We as a leaf, though we have no bulk door."""
        address = self._nature.address
        return Contact(self._nature.identity.node, address.at(address.port + 1))

    def _entry(self, body: bytes) -> Entry:
        """What the query would like to find."""
        root, size, name = self._rng.randbytes(32), 1_000, "anything.ogg"
        try:
            asked = wire.unpack(body, QueryBody)
        except RemoteProtocolError:
            return Entry(root, size, name)
        if asked.root is not None:
            root, size = asked.root, min(asked.size, 2**40)
        elif asked.terms is not None:
            name = (" ".join(asked.terms.words)[:100] or "x") + ".ogg"
        return Entry(root, size, name)

    # --- kinds ------------------------------------------------------------------------------

    def _forged(self, entry: Entry) -> Hit:
        rng = self._rng
        source = self._nobody()
        proof = tuple(rng.randbytes(32) for _ in range(rng.choice((0, 1, 24))))
        return Hit(source, entry, rng.choice((0, 19_999)), 1, proof, rng.randbytes(64))

    def _own(self, entry: Entry) -> Hit:
        """A catalogue of one entry, signed by us: all of it holds but the file itself."""
        identity, generation = self._nature.identity, self._rng.randrange(1, 2**53)
        said = statement(self._nature.network.name, identity.node, generation, slot_hash(entry))
        return Hit(self._ourselves(), entry, 0, generation, (), identity.sign(said))

    def _stray(self, entry: Entry) -> Hit:
        """At an address of which nobody may tell, or that is no place."""
        places = (Address.of("127.0.0.1", 80), Address.of("224.0.0.1", 1), Address.of("0.0.0.0", 1))
        place = self._rng.choice((*places, self._nature.address.at(0)))
        own = self._own(entry)
        return msgspec.structs.replace(own, source=Contact(own.source.node, place))

    def _renamed(self, entry: Entry) -> Hit | None:
        """A true hit under the name that was asked for."""
        return self._changed(lambda hit: {"entry": self._with(hit.entry, name=entry.name)})

    def _replaced(self, entry: Entry) -> Hit | None:
        """A true hit with another content."""
        return self._changed(lambda _hit: {"entry": entry})

    def _shifted(self, _entry: Entry) -> Hit | None:
        """A true hit in another slot or of another generation."""
        return self._changed(
            lambda hit: {"slot": (hit.slot + 1) % 20_000, "generation": hit.generation ^ 1}
        )

    def _stolen(self, _entry: Entry) -> Hit | None:
        """A true hit that we say is ours."""
        return self._changed(lambda _hit: {"source": self._ourselves()})

    def _moved(self, _entry: Entry) -> Hit | None:
        """A true hit with its leaf at another place: no signature covers the address."""
        place = self._nature.nearby
        return self._changed(lambda hit: {"source": Contact(hit.source.node, place)})

    def _again(self, _entry: Entry) -> Hit | None:
        """A true hit of whatever query, as it came."""
        return self._changed(lambda _hit: {})

    def _changed(self, how: Callable[[Hit], dict[str, object]]) -> Hit | None:
        if not self._true:
            return None
        hit = self._rng.choice(self._true)
        return msgspec.structs.replace(hit, **how(hit))

    def _with(self, entry: Entry, name: str) -> Entry:
        return msgspec.structs.replace(entry, name=name)

    _KINDS: ClassVar[dict[str, Callable[["Forgeries", Entry], Hit | None]]] = {
        "forged": _forged,
        "own": _own,
        "stray": _stray,
        "renamed": _renamed,
        "replaced": _replaced,
        "shifted": _shifted,
        "stolen": _stolen,
        "moved": _moved,
        "again": _again,
    }


def _is_key(node: bytes) -> bool:
    """Whether somebody might have it."""
    try:
        curve_key(node)
    except ValueError:
        return False
    return True
