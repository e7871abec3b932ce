"""Bencoding (BEP 3), the writing half: a value has exactly one encoding.

Dictionaries are sorted by their raw keys and numbers have no leading zeros, so what is hashed is
the same for everybody. Nothing is read here.
"""

from collections.abc import Mapping, Sequence

Value = int | bytes | Sequence["Value"] | Mapping[bytes, "Value"]


def bencode(value: Value) -> bytes:
    """The encoding of a value."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, Mapping):
        items = [bencode(key) + bencode(value[key]) for key in sorted(value)]
        return b"d" + b"".join(items) + b"e"
    return b"l" + b"".join(bencode(each) for each in value) + b"e"
