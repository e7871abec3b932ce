"""The bench of succession in virtual time, with few leaves."""

from tests.bench.successors import Death, scenario


def test_all_super_peers_die_and_every_file_is_found_again() -> None:
    """More leaves than one super-peer takes; within half a minute all is as before."""
    figures = Death(scenario(240, 80, 1), talks=False).run()
    found_s, one_s = figures["found_s"], figures["one_s"]
    assert isinstance(found_s, float), figures
    assert isinstance(one_s, float), figures
    assert found_s <= 30.0, figures
    assert one_s <= 60.0, figures
    assert figures["found"] == figures["searches"], figures
    assert not figures["violations"], figures
