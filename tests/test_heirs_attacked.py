"""What nobody signed takes no copy from an heir, and fills no places."""

from common.ids import Identity
from common.messages.cluster import SearchHits
from common.messages.fields import Contact
from common.messages.overlay import Hold
from tests.test_heirs import status, three


def test_nobody_takes_a_copy_away_by_a_number() -> None:
    """Neither a later life nor a later join, that nobody has signed, displaces what is kept of a
    leaf whose parent lives; nor does another address come into an answer."""
    world = three()
    node = world.identities["leaf1"].node
    far = Contact(node, world.addresses["sp3"])
    for epoch, joins in ((2**53, 2**53), (1, 2**53)):
        world.say("sp3", "sp2", Hold(node, epoch, joins, far, 1))
        world.advance(1.0)
        assert status(world, "sp2").copied_files == 2
    world.kill("sp3")
    world.kill("sp1")
    world.leaf("late")
    world.join("late", "sp2")
    world.search("late", "sp2", "blue")
    world.advance(1.0)
    hits = [m for m in world.puppet("late").heard if isinstance(m, SearchHits)]
    assert [hit.source.address.ip for each in hits for hit in each.hits] == [
        world.addresses["leaf1"].ip
    ] * 2


def test_questions_alone_fill_no_places() -> None:
    """Copies of which nothing signed ever came give way to those that leaves really want."""
    world = three(copies_max=4)
    for number in range(4):
        node = Identity(bytes([200 + number]) * 32).node
        asker = ("sp1", "sp3")[number % 2]
        world.say(asker, "sp2", Hold(node, 1, 1, Contact(node, world.addresses["sp1"]), 1))
    world.advance(1.0)
    world.leaf("leaf2")
    world.join("leaf2", "sp1")
    world.publish("leaf2", "sp1", {"red song.txt": 1})
    world.advance(30.0)
    assert status(world, "sp1").heirs == 2
