"""Whether the other end of one link lives, and how far away it is.

Each end sends `Echo` when it has sent nothing else for a while; whatever comes in is a sign of
life. An echo carries back the last stamp that was heard and how long it was kept, so every echo
measures the round trip (as NTP does) and none needs an answer. This decides nothing but that; the
sweep that asks is `common.links`.
"""

from common.config import LinkConfig
from common.messages.link import Echo

_RTT_WEIGHT = 0.25  # of the newest sample; wild guess


class Pulse:
    """The signs of life of one link; times are seconds of `now`."""

    __slots__ = ("_config", "_stamp_at", "_stamp_us", "heard_at", "rtt_s", "sent_at")

    def __init__(self, config: LinkConfig, now: float) -> None:
        self._config = config
        self.heard_at = now
        self.sent_at = now
        self.rtt_s: float | None = None  # smoothed
        self._stamp_us = 0  # their last stamp
        self._stamp_at = 0.0  # and when it came

    def on_echo(self, echo: Echo, now: float) -> bool:
        """Keep its stamp; whether it measured the round trip."""
        self._stamp_us, self._stamp_at = echo.stamp_us, now
        sample = now - (echo.heard_us + echo.held_us) / 1e6
        if not echo.heard_us or not 0 <= sample < self._config.dead_s:
            return False
        old = sample if self.rtt_s is None else self.rtt_s
        self.rtt_s = old + _RTT_WEIGHT * (sample - old)
        return True

    def is_dead(self, now: float) -> bool:
        """Whether the other end was silent for too long."""
        return now - self.heard_at > self._config.dead_s

    def echo_due(self, now: float) -> Echo | None:
        """What to send now where nothing else was sent; None if something was."""
        # swept twice per echo_s: this is an echo every 0.75 to 1.25 of it
        if now - self.sent_at < 0.75 * self._config.echo_s:
            return None
        self.sent_at = now
        held_us = int((now - self._stamp_at) * 1e6) if self._stamp_us else 0
        return Echo(int(now * 1e6), self._stamp_us, held_us)

    def forgive(self, now: float) -> None:
        """We were asleep ourselves: the silence was ours."""
        self.heard_at = max(self.heard_at, now - self._config.dead_s / 2)
