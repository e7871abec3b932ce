"""Leaves of a super-peer: joining, leases, publishing, and what can be found when."""

from random import Random

import pytest

from common.addresses import Address
from common.config import ClusterConfig, WishConfig
from common.content.catalogue import statement, verify
from common.core import LetGo, LinkUp, Send
from common.digest import CountedPlaces
from common.doors import Door
from common.ids import Identity, is_signed
from common.limits import FILE_NAME_BYTES_MAX, PATH_DEPTH_MAX
from common.messages.cluster import Busy, Hit, Join, Publish, Published, Put, Welcome
from common.messages.fields import Contact
from common.messages.overlay import QueryBody
from common.terms import parse
from superpeer.cluster.cluster import Cluster
from superpeer.index.share import INDEX_SLICE
from superpeer.search.credit import Credit
from superpeer.search.wishes import Wishes
from tests.overlay_world import NETWORK, Puppet, entry_of, signed

OTHER = Contact(b"o" * 32, Address.of("10.0.0.2", 1214))
DOOR = Address.of("10.0.0.1", 1214)
SLICE = -(-INDEX_SLICE // 6)  # entries of two words, with the four keys beside them


class Bench:
    """A cluster and its leaves, each linked from a host of its own."""

    def __init__(self, **config: float) -> None:
        self.links: dict[bytes, LinkUp] = {}
        self.cluster = Cluster(
            NETWORK.name,
            config=ClusterConfig(**config),  # type: ignore[arg-type]
            rng=Random(1),
            links=self.links,
            alternatives=lambda: (OTHER,),
            refer=lambda: (OTHER,),
            neighbours={},
            digest=CountedPlaces(),
            credit=Credit(64),
            spread_s=lambda: self.spread_s,
            wishes=Wishes(config=WishConfig(), rng=Random(1), is_leaf=lambda _peer: True),
        )
        self.spread_s = 0.0

    def leaf(self, number: int = 1, bulk_port: int = 1215) -> Puppet:
        """A leaf whose link is up."""
        puppet = Puppet(Identity(bytes([number]) * 32))
        node, address = puppet.identity.node, Address.of(f"10.0.0.{number}", 1214)
        self.links[node] = LinkUp(node, Door.CONTROL, address, DOOR, True, bulk_port)
        return puppet

    def join(self, leaf: Puppet, now: float = 0.0, advertised: Address | None = None) -> object:
        """What the leaf is answered."""
        join = Join(leaf.epoch, leaf.generation, len(leaf.catalogue), advertised)
        node = leaf.identity.node
        sent = [each for each in self.cluster.on_join(node, join, now) if isinstance(each, Send)]
        (message,) = [each.message for each in sent if each.peer == node]
        return message

    def share(self, leaf: Puppet, *names: str, now: float = 0.0) -> list[object]:
        """Publish these as the next generation; what the leaf is answered."""
        first = len(leaf.catalogue)
        puts = [Put(slot, entry_of(name)) for slot, name in enumerate(names, first)]
        for put in puts:
            leaf.catalogue.put(put.slot, put.entry)
        leaf.generation += 1
        return self.say(leaf, signed(leaf, tuple(puts)), now)

    def say(self, leaf: Puppet, message: Publish, now: float = 0.0) -> list[object]:
        """What the leaf is answered."""
        effects = self.cluster.on_publish(leaf.identity.node, message, now)
        return [effect.message for effect in effects if isinstance(effect, Send)]

    def find(self, word: str) -> list[Hit]:
        """What a query for a word finds."""
        return self.hits(QueryBody(5_000, terms=parse([word])))

    def hits(self, body: QueryBody) -> list[Hit]:
        """What a query finds."""
        return [hit for hit in self.cluster.evaluate(body) if isinstance(hit, Hit)]

    def lose(self, leaf: Puppet, now: float, *, on_purpose: bool = False) -> None:
        """The leaf's link breaks."""
        del self.links[leaf.identity.node]
        self.cluster.leaf_lost(leaf.identity.node, now, on_purpose=on_purpose)


def test_a_hit_is_proven_and_comes_from_where_the_leaf_was_seen() -> None:
    """The proof and the signature hold, and the source is the observed host at the bulk door."""
    bench = Bench()
    leaf = bench.leaf()
    assert bench.join(leaf) == Welcome(0, 5.0, 20_000, (OTHER,))
    assert bench.share(leaf, "hello moon", "hello sun") == [Published(1)]
    (hit,) = bench.find("sun")
    root, node = leaf.catalogue.root(), leaf.identity.node
    assert verify(root, hit.slot, hit.entry, hit.proof)
    assert is_signed(node, statement(NETWORK.name, node, hit.generation, root), hit.signature)
    assert hit.source == Contact(node, Address.of("10.0.0.1", 1215))


@pytest.mark.parametrize(("host", "port"), [("10.0.0.1", 99), ("10.0.0.7", 1215)])
def test_an_advertised_address_counts_on_the_observed_host_only(host: str, port: int) -> None:
    """A leaf may name another port of its host, never another host (T3)."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf, advertised=Address.of(host, port))
    bench.share(leaf, "hello")
    assert [hit.source.address for hit in bench.find("hello")] == [Address.of("10.0.0.1", port)]


def test_nothing_unsigned_is_found() -> None:
    """Entries are found, and their generation acknowledged, when it is signed and not before."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    first, second = Put(0, entry_of("hello one")), Put(1, entry_of("hello two"))
    assert bench.say(leaf, Publish(1, (first,))) == []
    assert bench.find("hello") == []
    for put in (first, second):
        leaf.catalogue.put(put.slot, put.entry)
    leaf.generation = 1
    assert bench.say(leaf, signed(leaf, (second,))) == [Published(1)]
    assert len(bench.find("hello")) == 2


def test_a_generation_is_acknowledged_once_others_know_of_it() -> None:
    """Who waits for it can then be found from everywhere; what has come meanwhile waits too."""
    bench = Bench()
    bench.spread_s = 0.3
    leaf = bench.leaf()
    bench.join(leaf)
    assert [bench.share(leaf, "one"), bench.share(leaf, "two", now=0.2)] == [[], []]
    assert bench.cluster.due(0.4) == []
    done = [Send(leaf.identity.node, Published(generation)) for generation in (1, 2)]
    assert bench.cluster.due(0.5) == done


def test_a_wrong_signature_drops_everything() -> None:
    """What cannot be proven to others is not held, nor what was held before."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    bench.share(leaf, "hello")
    forged = Publish(2, (Put(1, entry_of("hello again")),), (), bytes(64))
    (answer,) = bench.say(leaf, forged)
    assert isinstance(answer, Published)
    assert (answer.generation, bool(answer.refused)) == (0, True)
    assert bench.find("hello") == []
    assert bench.cluster.files == 0
    assert bench.join(leaf) == Welcome(0, 5.0, 20_000, (OTHER,))


@pytest.mark.parametrize(
    "entry",
    [
        Put(3, entry_of("slot")),
        Put(0, entry_of("é" * FILE_NAME_BYTES_MAX)),
        Put(0, type(entry_of("x"))(bytes(32), 1, "deep", "/".join("a" * (PATH_DEPTH_MAX + 1)))),
    ],
    ids=["slot", "name", "folder"],
)
def test_entries_beyond_the_limits_are_refused(entry: Put) -> None:
    """Slots, bytes of names and depths have limits; a leaf that breaks them has nothing here."""
    bench = Bench(entries_max=3)
    leaf = bench.leaf()
    bench.join(leaf)
    bench.share(leaf, "hello")
    (answer,) = bench.say(leaf, Publish(2, (entry,)))
    assert isinstance(answer, Published)
    assert answer.refused
    assert bench.find("hello") == []


def test_an_old_generation_is_refused() -> None:
    """A generation that is held is not published again."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    bench.share(leaf, "hello")
    (answer,) = bench.say(leaf, signed(leaf, ()))
    assert isinstance(answer, Published)
    assert answer.refused


def test_afresh_replaces_all() -> None:
    """A catalogue sent afresh is the whole of it, and may begin at any generation."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    bench.share(leaf, "hello one", "hello two")
    leaf.catalogue.drop(0)
    leaf.generation = 1
    put = Put(1, entry_of("hello two"))
    assert bench.say(leaf, signed(leaf, (put,), afresh=True)) == [Published(1)]
    assert [hit.entry.name for hit in bench.find("hello")] == ["hello two"]


def test_a_large_library_is_indexed_in_slices() -> None:
    """Each turn makes a slice findable; the generation is acknowledged when all of it is."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    names = [f"hello {number}" for number in range(2 * SLICE + 1)]
    assert bench.share(leaf, *names) == []
    assert bench.cluster.files == SLICE
    assert bench.cluster.wakeup() == 0.0
    assert bench.cluster.due(0.0) == []
    assert bench.cluster.due(0.0) == [Send(leaf.identity.node, Published(1))]
    assert bench.cluster.files == len(names)


def test_what_was_refused_is_not_indexed_later() -> None:
    """A refusal in the middle of indexing ends it."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    bench.share(leaf, *[f"hello {number}" for number in range(SLICE + 1)])
    bench.say(leaf, Publish(2, (), (), bytes(64)))
    bench.cluster.due(0.0)
    assert bench.cluster.files == 0


def test_what_was_replaced_is_not_found_while_the_new_is_indexed() -> None:
    """The old entry could not be proven under the new signature."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    bench.share(leaf, "old")
    puts = [Put(slot, entry_of(f"new {slot}")) for slot in [*range(1, SLICE + 1), 0]]
    for put in puts:
        leaf.catalogue.put(put.slot, put.entry)
    leaf.generation += 1
    assert bench.say(leaf, signed(leaf, tuple(puts))) == []
    assert bench.find("old") == []
    assert len(bench.find("new")) == SLICE


def test_entries_outlive_a_lost_link_by_a_lease() -> None:
    """Until then the leaf may come back in the same life; afterwards all is gone."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    bench.share(leaf, "hello")
    bench.lose(leaf, 10.0)
    bench.cluster.due(14.9)
    assert len(bench.find("hello")) == 1
    bench.cluster.due(15.0)
    assert bench.find("hello") == []
    assert bench.cluster.rows(15.0) == []


def test_the_same_life_finds_its_entries_held() -> None:
    """A leaf that is back in time is told its generation; what was unsigned is forgotten."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    bench.share(leaf, "hello")
    bench.say(leaf, Publish(2, (Put(7, entry_of("hello again")),)))
    bench.lose(leaf, 10.0)
    bench.leaf()
    assert bench.join(leaf, 12.0) == Welcome(1, 5.0, 20_000, (OTHER,))
    bench.cluster.due(100.0)
    assert len(bench.find("hello")) == 1
    assert bench.share(leaf, "hello sun", now=101.0) == [Published(2)]


def test_another_life_begins_with_nothing() -> None:
    """Generations count within a life only, so another epoch replaces all."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    bench.share(leaf, "hello")
    assert bench.join(Puppet(leaf.identity, epoch=2), 1.0) == Welcome(0, 5.0, 20_000, (OTHER,))
    assert bench.find("hello") == []


def test_bye_ends_it_at_once() -> None:
    """Who leaves on purpose is not waited for."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    bench.share(leaf, "hello")
    bench.lose(leaf, 10.0, on_purpose=True)
    assert bench.find("hello") == []


def test_a_full_cluster_names_others() -> None:
    """Above `leaves_max` joins are refused, with a time and alternatives; ours may come back."""
    bench = Bench(leaves_max=1)
    one, two = bench.leaf(1), bench.leaf(2)
    assert isinstance(bench.join(one), Welcome)
    assert bench.join(two) == Busy(10.0, (OTHER,))
    assert isinstance(bench.join(one), Welcome)


def test_a_leaf_without_a_bulk_door_has_nothing_to_share() -> None:
    """Nobody could fetch from it."""
    bench = Bench()
    answer = bench.join(bench.leaf(bulk_port=0))
    assert isinstance(answer, Welcome)
    assert answer.entries_max == 0


def test_strangers_cannot_publish() -> None:
    """Without a join nothing is taken, and it is counted."""
    bench = Bench()
    assert bench.say(bench.leaf(), Publish(1)) == []
    assert bench.cluster.dropped == {"publish_of_stranger": 1}


def test_sources_are_a_random_part_one_of_each_leaf() -> None:
    """Of many leaves with the content some are drawn; a leaf that has it twice counts once."""
    bench = Bench()
    for number in range(1, 9):
        leaf = bench.leaf(number)
        bench.join(leaf)
        bench.share(leaf, "hello", "hello")
    entry = entry_of("hello")
    body = QueryBody(4, root=entry.root, size=entry.size)
    drawn = [[one.source.node for one in bench.hits(body)] for _ in range(3)]
    assert all(len(dict.fromkeys(nodes)) == 4 for nodes in drawn)
    assert drawn[0] != drawn[1] or drawn[1] != drawn[2]
    nobody = QueryBody(4, root=entry.root, size=entry.size + 1)
    assert list(bench.cluster.evaluate(nobody)) == []


def test_nothing_is_left_of_leaves_that_are_gone() -> None:
    """After the sweep no deadline is set any more."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    bench.share(leaf, "hello")
    bench.lose(leaf, 0.0, on_purpose=True)
    bench.cluster.due(1.0)
    assert bench.cluster.wakeup() is None


def test_words_of_a_leaf_are_limited() -> None:
    """Names with more words in all than a leaf may have are refused, and nothing of it is held."""
    bench = Bench(keys_max=12)
    leaf = bench.leaf()
    bench.join(leaf)
    assert bench.share(leaf, "one two", "three four") == [Published(1)]
    (answer,) = bench.share(leaf, "five")
    assert isinstance(answer, Published)
    assert (answer.generation, "words" in answer.refused) == (0, True)
    assert (bench.cluster.files, bench.find("one")) == (0, [])


def test_a_replaced_entry_counts_no_more() -> None:
    """The budget is of what a leaf shares now, not of what it ever did."""
    bench = Bench(keys_max=7)
    leaf = bench.leaf()
    bench.join(leaf)
    bench.share(leaf, "one two three")
    for name in ("four five six", "seven"):
        put = Put(0, entry_of(name))
        leaf.catalogue.put(0, put.entry)
        leaf.generation += 1
        assert bench.say(leaf, signed(leaf, (put,))) == [Published(leaf.generation)]


def test_slices_are_of_words() -> None:
    """Long names are made searchable fewer at a time."""
    bench = Bench()
    leaf = bench.leaf()
    bench.join(leaf)
    words = " ".join(f"w{number}" for number in range(60))
    names = [f"{number} {words}" for number in range(SLICE // 2)]
    assert bench.share(leaf, *names) == []
    assert bench.cluster.files == -(-INDEX_SLICE // 65)


def test_who_shares_nothing_for_long_gives_way_when_full() -> None:
    """The one that is here longest goes, with others named; lives and joins make nobody younger."""
    bench = Bench(leaves_max=2, idle_leaf_s=60.0)
    idle, later, sharer = bench.leaf(1), bench.leaf(2), bench.leaf(3)
    sharer.catalogue.put(0, entry_of("hello"))
    bench.join(idle, 0.0)
    bench.join(later, 1.0)
    bench.join(Puppet(idle.identity, epoch=2), 50.0)
    assert bench.join(sharer, 59.0) == Busy(10.0, (OTHER,))
    assert bench.join(bench.leaf(4), 61.0) == Busy(10.0, (OTHER,))  # it shares nothing either
    node = sharer.identity.node
    sent = bench.cluster.on_join(node, Join(1, 0, 1), 61.0)
    assert sent[:2] == [
        Send(idle.identity.node, Busy(10.0, (OTHER,))),
        LetGo(idle.identity.node, Door.CONTROL, "it gives way to one that shares", refuses=True),
    ]
    assert list(bench.cluster.members) == [later.identity.node, node]
