"""Who is near us, and who is gone whatever others still say."""

from common.addresses import Address
from common.ids import NodeId
from common.messages.fields import Contact
from superpeer.overlay.neighbour import Neighbour
from superpeer.overlay.reach import short_id
from superpeer.overlay.vicinity import Vicinity

A, B, C, D = (bytes([number]) * 32 for number in range(1, 5))
HERE = Address.of("127.0.0.1", 1214)


def neighbour(*others: NodeId, nearby: tuple[int, ...] = ()) -> Neighbour:
    """One that says these are its neighbours."""
    each = Neighbour(HERE, 0.0, ours=True, chosen=True, near=False)
    each.contacts = tuple(Contact(other, HERE) for other in others)
    each.nearby = nearby
    return each


def test_who_is_three_links_away_is_near() -> None:
    """Neighbours, theirs, and who they say is near."""
    vicinity = Vicinity({A: neighbour(B, C, nearby=(short_id(D),))}, 2.0)
    assert vicinity.around() == {short_id(node) for node in (A, B, C, D)}


def test_whom_we_lost_is_gone_though_others_have_not_told_yet() -> None:
    """Their older word does not bring it back."""
    neighbours = {A: neighbour(B, C, nearby=(short_id(B),)), B: neighbour(A)}
    vicinity = Vicinity(neighbours, 2.0)
    before = vicinity.told()
    del neighbours[B]
    vicinity.lost(B, 10.0)
    assert vicinity.around() == {short_id(A), short_id(C)}
    assert vicinity.told() != before


def test_whom_others_still_name_later_is_near_again() -> None:
    """Only our own link broke."""
    vicinity = Vicinity({A: neighbour(B)}, 2.0)
    vicinity.lost(B, 10.0)
    assert vicinity.wakeup() == 12.0
    assert not vicinity.due(11.9)
    assert vicinity.due(12.0)
    assert short_id(B) in vicinity.around()


def test_who_is_linked_again_is_near_at_once() -> None:
    """However short it was gone."""
    neighbours = {A: neighbour(B)}
    vicinity = Vicinity(neighbours, 2.0)
    vicinity.lost(B, 10.0)
    assert short_id(B) not in vicinity.around()
    neighbours[B] = neighbour(A)
    vicinity.linked(B)
    assert short_id(B) in vicinity.around()
    assert vicinity.wakeup() is None
