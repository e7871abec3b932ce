"""Hits that are looked up instead of proven anew: true as long as their leaf does not change."""

import pytest
from msgspec.structs import replace

from common.messages.fields import Contact
from superpeer.cluster import proven
from superpeer.cluster.proven import Proven
from tests.samples import HIT

A = HIT.source.node
B = b"b" * 32


def test_what_is_kept_is_forgotten_with_its_leaf() -> None:
    """Only with its own."""
    kept = Proven()
    other = replace(HIT, source=Contact(B, HIT.source.address))
    kept.keep(1, HIT)
    kept.keep(2, other)
    kept.forget(A)
    kept.forget(A)
    assert (kept.get(1), kept.get(2), len(kept)) == (None, other, 1)


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is full it starts anew, and forgets nothing that it does not hold."""
    monkeypatch.setattr(proven, "HITS_MAX", 3)
    kept = Proven()
    for doc in range(7):
        kept.keep(doc, HIT)
    assert len(kept) == 1
    kept.forget(A)
    assert len(kept) == 0
