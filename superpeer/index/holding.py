"""What one leaf has published to us: the catalogue that it signed, and changes not yet signed.

Nothing unsigned is ever found: changes are staged until the message that carries the leaf's
signature, then the root over everything must be the one it signed. If it is not, all of it goes,
for we could prove none of it to anybody. Which of it is searchable already is the cluster's matter.
"""

from common.content.catalogue import Catalogue, Entry, statement
from common.content.merkle import EMPTY_ROOT
from common.ids import NodeId, is_signed
from common.limits import (
    FILE_NAME_BYTES_MAX,
    FILES_PER_LEAF_MAX,
    PATH_DEPTH_MAX,
    STRING_BYTES_MAX,
)
from common.messages.cluster import Hit, Publish
from common.messages.fields import Contact

Changes = dict[int, Entry | None]


class PublishError(Exception):
    """What a leaf published cannot be held; the text is for its log."""


class Holding:
    """The slots of one leaf in one of its lives; `generation` 0 is the empty catalogue."""

    __slots__ = (
        *("_afresh", "_catalogue", "_leaf", "_network", "_signature", "_staged"),
        *("entries_max", "generation", "was_afresh"),
    )

    def __init__(self, network: str, leaf: NodeId, entries_max: int) -> None:
        self._network = network
        self._leaf = leaf
        self.entries_max = min(entries_max, FILES_PER_LEAF_MAX)
        self._catalogue = Catalogue()
        self._staged: Changes = {}
        self._afresh = False
        self._signature = b""
        self.generation = 0
        self.was_afresh = False
        """Whether the last generation came whole."""

    def __len__(self) -> int:
        return len(self._catalogue)

    @property
    def staged(self) -> int:
        """How many slots have changes that are not signed yet."""
        return len(self._staged)

    @property
    def signature(self) -> bytes:
        """The leaf's, over what is held; empty where that is nothing."""
        return self._signature

    def get(self, slot: int) -> Entry | None:
        """The signed entry in a slot."""
        return self._catalogue.get(slot)

    def slots(self) -> list[int]:
        """Those that hold something."""
        return [slot for slot, _ in self._catalogue.items()]

    def publish(self, message: Publish) -> Changes | None:
        """Stage changes; with a signature, return every slot that may hold something else now.

        Raises PublishError, and then nothing at all is held.
        """
        try:
            return self._publish(message)
        except PublishError:
            self.forget()
            raise

    def unstage(self) -> None:
        """Forget what was not signed: a leaf that joins again sends it again."""
        self._staged.clear()
        self._afresh = False

    def forget(self) -> None:
        """Hold nothing any more."""
        self.unstage()
        self._catalogue = Catalogue()
        self._signature = b""
        self.generation = 0

    def hit(self, slot: int, entry: Entry, source: Contact) -> Hit | None:
        """`entry` with its proof; None where the signed catalogue has another in `slot` by now."""
        if self._catalogue.get(slot) != entry:
            return None
        proof = tuple(self._catalogue.proof(slot))
        return Hit(source, entry, slot, self.generation, proof, self._signature)

    def _publish(self, message: Publish) -> Changes | None:
        self._check(message)
        if message.afresh:
            self._afresh = True
            self._staged.clear()
        for slot in message.drops:
            self._staged[slot] = None
        for put in message.puts:
            self._staged[put.slot] = put.entry
        return None if message.signature is None else self._commit(message, message.signature)

    def _check(self, message: Publish) -> None:
        slots = [*message.drops, *[put.slot for put in message.puts]]
        if slots and max(slots) >= self.entries_max:
            raise PublishError(f"at most {self.entries_max} entries are held for a leaf")
        for put in message.puts:
            name, folder = put.entry.name.encode(), put.entry.folder.encode()
            if len(name) > FILE_NAME_BYTES_MAX or len(folder) > STRING_BYTES_MAX:
                raise PublishError("a name or a folder is too long")
            if folder.count(b"/") >= PATH_DEPTH_MAX:
                raise PublishError("a folder is too deep")
            if (put.entry.size == 0) != (put.entry.root == EMPTY_ROOT):
                raise PublishError("an empty file has no such root")

    def _commit(self, message: Publish, signature: bytes) -> Changes:
        if message.generation <= self.generation and not self._afresh:
            raise PublishError(f"generation {self.generation} is held already")
        changes: Changes = {}
        if self._afresh:
            changes = {slot: None for slot, _ in self._catalogue.items()}
            self._catalogue = Catalogue()
        for slot, entry in self._staged.items():
            if entry is None:
                self._catalogue.drop(slot)
            else:
                self._catalogue.put(slot, entry)
        changes |= self._staged
        self.was_afresh = self._afresh
        self.unstage()
        root = self._catalogue.root()
        signed = statement(self._network, self._leaf, message.generation, root)
        if not is_signed(self._leaf, signed, signature):
            raise PublishError("the signature does not fit the entries")
        self.generation, self._signature = message.generation, signature
        return changes
