"""The catalogue's root, proofs and statement, against the layout its docstring promises."""

from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.content.catalogue import (
    EMPTY,
    PROOF_HASHES_MAX,
    Catalogue,
    Entry,
    slot_hash,
    statement,
    verify,
)
from common.limits import FILE_NAME_BYTES_MAX, FILE_SIZE_MAX, FILES_PER_LEAF_MAX, STRING_BYTES_MAX
from common.proofs import proven_root

GOLDEN_ROOT = "05cd0dfb4139fe763a95bc6e45b652635d89f4324b65b39d4d56807dffa1fa67"
SONG = Entry(bytes(range(32)), 1_000_000, "Grüße.ogg", "Musik/1999", 915_148_800)

entries = st.builds(
    Entry,
    root=st.binary(min_size=32, max_size=32),
    size=st.integers(0, FILE_SIZE_MAX),
    name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
    folder=st.text(st.characters(codec="utf-8"), max_size=8),
    modified_s=st.integers(0, 2**40),
)
# A slot and what goes into it, None to empty it.
changes = st.lists(st.tuples(st.integers(0, 40), st.none() | entries), max_size=40)


def build(pairs: list[tuple[int, Entry | None]], *, ask_between: bool = False) -> Catalogue:
    """A catalogue after these changes."""
    catalogue = Catalogue()
    for slot, entry in pairs:
        if entry is None:
            catalogue.drop(slot)
        else:
            catalogue.put(slot, entry)
        if ask_between:
            catalogue.root()
    return catalogue


def plain_root(held: dict[int, Entry]) -> bytes:
    """The root as the docstring of the module defines it, with nothing kept between."""
    if not held:
        return EMPTY
    width = 1 << max(held).bit_length()
    nodes = [slot_hash(held[slot]) if slot in held else EMPTY for slot in range(width)]
    while len(nodes) > 1:
        pairs = zip(nodes[::2], nodes[1::2], strict=True)
        nodes = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return nodes[0]


def test_slot_hash_follows_the_layout_byte_for_byte() -> None:
    """A slot hash is over length-prefixed fields that any language can write."""
    name, folder = b"Gr\xc3\xbc\xc3\x9fe.ogg", b"Musik/1999"
    packed = b"".join(
        [
            b"\x00",
            bytes(range(32)),
            (1_000_000).to_bytes(8, "big"),
            (915_148_800).to_bytes(8, "big"),
            len(name).to_bytes(2, "big") + name,
            len(folder).to_bytes(2, "big") + folder,
        ]
    )
    assert slot_hash(SONG) == sha256(packed).digest()


def test_golden_root_of_three_slots() -> None:
    """These bytes are the protocol: when they change, old signatures are void."""
    catalogue = build([(0, SONG), (2, msgspec.structs.replace(SONG, folder="", modified_s=0))])
    assert catalogue.root().hex() == GOLDEN_ROOT


def test_statement_follows_the_layout_byte_for_byte() -> None:
    """The signed bytes name their purpose, the network, the leaf, the generation and the root."""
    signed = statement("öffentlich", b"L" * 32, 7, b"R" * 32)
    assert signed == (
        b"superpeer catalogue 1\0"
        b"\x00\x0b\xc3\xb6ffentlich" + b"L" * 32 + b"\0\0\0\0\0\0\0\x07" + b"R" * 32
    )


def test_moving_a_letter_between_name_and_folder_changes_the_hash() -> None:
    """Fields cannot run into one another."""
    one = msgspec.structs.replace(SONG, name="ab", folder="c")
    other = msgspec.structs.replace(SONG, name="a", folder="bc")
    assert slot_hash(one) != slot_hash(other)


@given(changes, st.booleans())
def test_root_depends_only_on_what_the_slots_hold(
    pairs: list[tuple[int, Entry | None]], ask_between: bool
) -> None:
    """However it got there, and whenever it was asked, the root is that of the plain definition."""
    held: dict[int, Entry] = {}
    for slot, entry in pairs:
        held.pop(slot, None)
        if entry is not None:
            held[slot] = entry
    catalogue = build(pairs, ask_between=ask_between)
    assert catalogue.root() == plain_root(held)
    assert catalogue.items() == sorted(held.items())
    assert len(catalogue) == len(held)


@given(changes)
def test_every_entry_is_proven_in_its_slot_and_no_other(
    pairs: list[tuple[int, Entry | None]],
) -> None:
    """A proof holds for its slot, entry and root, and for no neighbour of any of them."""
    catalogue = build(pairs)
    root = catalogue.root()
    for slot, entry in catalogue.items():
        proof = catalogue.proof(slot)
        assert verify(root, slot, entry, proof)
        beside = catalogue.get(slot ^ 1)
        assert verify(root, slot ^ 1, entry, proof) is (beside == entry)
        assert not verify(root, slot + (1 << len(proof)), entry, proof)
        assert not verify(root, slot - (1 << len(proof)), entry, proof)
        assert not verify(root, slot, msgspec.structs.replace(entry, size=entry.size ^ 1), proof)
        assert not verify(EMPTY, slot, entry, proof)
        assert not verify(root, slot, entry, [*proof, EMPTY])
        assert not verify(root, slot, entry, proof[:-1]) or not proof


def test_a_proof_of_odd_hashes_is_refused() -> None:
    """Hashes of another length and paths longer than any tree prove nothing."""
    catalogue = build([(0, SONG), (1, SONG)])
    root, proof = catalogue.root(), catalogue.proof(1)
    assert not verify(root, 1, SONG, [proof[0] + b"\0"])
    assert not verify(root, 1, SONG, [proof[0][:-1]])
    assert not verify(root, 1, SONG, proof * (PROOF_HASHES_MAX + 1))


def test_an_inner_node_cannot_pose_as_an_entry() -> None:
    """What proves an entry in a small tree proves nothing at the same place of a larger one."""
    small, large = build([(0, SONG)]), build([(0, SONG), (5, SONG)])
    assert verify(small.root(), 0, SONG, [])
    assert not verify(large.root(), 0, SONG, [])


def test_a_full_catalogue_is_proven_by_fifteen_hashes() -> None:
    """The last slot is the limit's, and its proof is as long as any can be."""
    catalogue = build([(FILES_PER_LEAF_MAX - 1, SONG)])
    assert len(catalogue.proof(FILES_PER_LEAF_MAX - 1)) == PROOF_HASHES_MAX == 15
    for slot in (-1, FILES_PER_LEAF_MAX):
        with pytest.raises(ValueError, match=f"slot {slot} is not below"):
            catalogue.put(slot, SONG)


def test_a_catalogue_that_shrank_and_grew_again_meets_no_old_hash() -> None:
    """Nodes above a smaller root are kept up, so that growing back is right."""
    catalogue = build([(0, SONG), (9, SONG)], ask_between=True)
    catalogue.drop(9)
    other = msgspec.structs.replace(SONG, size=1)
    catalogue.put(0, other)
    assert catalogue.root() == slot_hash(other)
    catalogue.put(30, SONG)
    assert catalogue.root() == plain_root({0: other, 30: SONG})


def test_an_empty_slot_has_no_proof() -> None:
    """Asking for one is a mistake of ours and loud; dropping one is none."""
    catalogue = build([(3, SONG)])
    catalogue.drop(2)
    catalogue.drop(FILES_PER_LEAF_MAX)
    assert catalogue.get(2) is None
    for slot in (2, 4):
        with pytest.raises(KeyError):
            catalogue.proof(slot)


@pytest.mark.parametrize(
    "fields",
    [
        [b"r" * 31, 1, "n"],
        [b"r" * 33, 1, "n"],
        [b"r" * 32, -1, "n"],
        [b"r" * 32, FILE_SIZE_MAX + 1, "n"],
        [b"r" * 32, 1, ""],
        [b"r" * 32, 1, "n" * (FILE_NAME_BYTES_MAX + 1)],
        [b"r" * 32, 1, "n", "f" * (STRING_BYTES_MAX + 1)],
        [b"r" * 32, 1, "n", "", -1],
    ],
)
def test_the_border_refuses_an_entry_beyond_a_limit(fields: list[object]) -> None:
    """Each field of an entry is checked where a frame is converted."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, Entry)


def test_malformed_proofs_have_no_root() -> None:
    """Too long, too short or with odd hashes: no root, never an error."""
    entry = Entry(bytes(32), 1, "x")
    assert proven_root(-1, entry, ()) is None
    assert proven_root(1, entry, ()) is None
    assert proven_root(0, entry, (b"short",)) is None
    assert proven_root(0, entry, (bytes(32),) * 99) is None
