"""Signs of life of one link, and its round trip."""

from common.config import LinkConfig
from common.pulse import Pulse

CONFIG = LinkConfig()


def test_echoes_measure_the_round_trip() -> None:
    """A stamp that comes back, less the time it was kept, is the round trip: 30 ms here."""
    near, far = Pulse(CONFIG, 0.0), Pulse(CONFIG, 0.0)
    first = near.echo_due(1.0)
    assert first is not None
    assert not far.on_echo(first, 1.010)
    answer = far.echo_due(1.8)
    assert answer is not None
    assert near.on_echo(answer, 1.820)
    assert near.rtt_s is not None
    assert abs(near.rtt_s - 0.030) < 1e-5


def test_absurd_stamps_measure_nothing() -> None:
    """An echo of a stamp that we never sent, or from the future, is a sign of life and no more."""
    pulse = Pulse(CONFIG, 0.0)
    echo = Pulse(CONFIG, 0.0).echo_due(9.0)
    assert echo is not None
    for heard_us in (2**53, 1):
        strange = type(echo)(echo.stamp_us, heard_us, 0)
        assert not pulse.on_echo(strange, 10.0)
    assert pulse.rtt_s is None


def test_echoes_are_due_only_in_silence() -> None:
    """Who has just sent something else needs no echo."""
    pulse = Pulse(CONFIG, 0.0)
    pulse.sent_at = 5.0
    assert pulse.echo_due(5.5) is None
    assert pulse.echo_due(6.0) is not None
    assert pulse.echo_due(6.1) is None


def test_dead_and_forgiven() -> None:
    """Silence beyond dead_s is death, unless we slept through it."""
    pulse = Pulse(CONFIG, 0.0)
    assert not pulse.is_dead(2.4)
    assert pulse.is_dead(2.6)
    pulse.forgive(2.6)
    assert not pulse.is_dead(2.6)
