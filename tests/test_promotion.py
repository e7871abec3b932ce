"""Promotion as a whole, in the simulator: offers, second roles, shared clusters, stepping down."""

from leaf.methods import SearchResult
from tests.hierarchy_world import Network, config


def crowd(leaves: int, *, leaves_max: int = 8, promotes: bool = True, **settings: float) -> Network:
    """One super-peer, and leaves that know of it alone."""
    network = Network(config(leaves_max, **settings))
    network.superpeer("first")
    for number in range(leaves):
        network.leaf(f"leaf{number}", "first", promotes=promotes)
    return network


def promoted(network: Network) -> list[str]:
    """The leaves that are super-peers now."""
    names = [host.name for host in network.world.hosts if host.name.startswith("leaf")]
    return [name for name in names if "superpeer" in network.roles(name)]


def test_a_crowded_super_peer_makes_another() -> None:
    """It takes its role, they are neighbours, and half of the leaves move there."""
    network = crowd(6)
    assert network.until(lambda: network.superpeer_status("first").promotions > 0, 120.0)
    network.run(20.0)
    (second,) = promoted(network)
    there = network.superpeer_status(second)
    here = network.superpeer_status("first")
    assert (here.neighbours, there.neighbours) == (1, 1)
    assert here.leaves + there.leaves == 6
    assert there.leaves >= 2
    parent = network.status(second).parent
    assert parent is not None
    assert parent.node == there.node  # it hangs on itself


def test_all_is_found_all_the_time() -> None:
    """Each second everybody's file is found by one of them, before, meanwhile and after."""
    network = crowd(6)
    network.run(5.0)
    missing = []
    for second in range(60):
        found = network.search("leaf0", "song")
        assert isinstance(found, SearchResult)
        if len(found.hits) != 6:
            missing.append((second, len(found.hits)))
        network.run(1.0)
    assert not missing
    assert promoted(network)


def test_who_may_not_is_not_promoted() -> None:
    """`--no-promote` declines; the others stay where they are, and everything goes on."""
    network = crowd(6, promotes=False)
    network.run(120.0)
    assert not promoted(network)
    assert network.noted_by("first", "promotion_failed") >= 2
    assert network.superpeer_status("first").leaves == 6
