"""Probes of links, datagrams and lives: what a node meets before any role is concerned."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from common.core import (
    CloseLink,
    DatagramReceived,
    DialFailed,
    Effect,
    Event,
    Exited,
    FrameReceived,
    FrameRejected,
    LinkHeard,
    SendDatagram,
    SendFrame,
    Woke,
)
from common.messages.link import Bye, Ping, Pong, Refused
from common.storage import RememberDownload, Restored
from common.wire import Unknown
from deploy.sim.host import Host
from deploy.sim.inside import links_of
from deploy.sim.probes.families import Hit, kebab
from deploy.sim.schedule import Schedule

PONG_S: Final = 1.0  # how long both roles wait for one
ASLEEP_S: Final = 4.0  # longer than any link of the plans may be silent
PINGS_MAX: Final = 1_000

_ENDS: Final = {
    "replaced by a newer link": "link-replaced",
    "silent for": "link-silent",
    "no hello in time": "hello-never-came",
    "duplicate link": "duplicate-link",
    "bye": "link-ended-by-bye",
    "idle": "link-idle",
    "too many links": "link-too-many",
    "no data in time": "source-given-up",
    "wrong bytes": "source-sent-wrong-bytes",
    "piece hashes": "source-sent-wrong-hashes",
    "a piece that nobody": "source-sent-unasked",
    "a piece beyond": "source-has-beyond",
    "a bit field": "source-odd-bitfield",
    "a request that": "asker-odd-request",
    "no 1": "asker-odd-range",
    "it gives way": "idle-leaf-gave-way",
    "no welcome": "join-never-answered",
    "it takes no more": "join-busy-left",
}

LINKS: Final = {
    "link-replaced": "A newer link of the same node took the place of one that was up.",
    "link-silent": "A link was given up because nothing came over it.",
    "hello-never-came": "A link was open, and its hello did not come in time.",
    "duplicate-link": "Of two dials the one that must not stay was refused.",
    "link-ended-by-bye": "A link ended by a goodbye of the other end.",
    "link-idle": "A bulk link ended because nobody used it.",
    "link-too-many": "A stranger's bulk link was one too many.",
    "source-given-up": "A source that brought nothing was hung up on.",
    "source-sent-wrong-bytes": "A source was found out by wrong bytes.",
    "source-sent-wrong-hashes": "A source was found out by piece hashes that prove nothing.",
    "source-sent-unasked": "A source sent a piece that nobody asked for, or of another length.",
    "source-has-beyond": "A source said that it has a piece beyond the end.",
    "source-odd-bitfield": "A source sent a bit field of the wrong length.",
    "asker-odd-request": "A downloader asked for what is no whole pieces.",
    "asker-odd-range": "A downloader asked for hashes that cannot be proven together.",
    "idle-leaf-gave-way": "A leaf that shares nothing gave its place to one that shares.",
    "join-never-answered": "A super-peer did not answer a join.",
    "join-busy-left": "A leaf left a super-peer that takes no more.",
    "dial-no-answer": "A dial met nobody.",
    "dial-connection-refused": "A dial met a closed door.",
    "dial-no-handshake": "A dial met a process that stands still.",
    "dial-the-handshake-failed": "A dial met another key.",
    "dial-the-handshake-broke-off": "A dial's way was cut in the middle of the handshake.",
    "frame-rejected": "A frame came that is not our protocol.",
    "frame-in-parts": "A frame took so long that its bytes had to show that its sender lives.",
    "simultaneous-dials": "Two nodes dialled one another at the same time.",
    "newer-node-passed-over": "A message of a later release was passed over.",
    "pong-after-timeout": "A pong came when nobody waited for it any more.",
    "pong-twice": "A pong came twice.",
    "frozen-accused-nobody": "A node that had stood still for long gave none of its links up.",
    "frozen-lost-its-links": "A node that had stood still woke up to links that were gone.",
    "goodbye-said": "A node said goodbye before it went.",
    "restarted": "A node began another life.",
    "restarted-with-downloads": "A node came back to downloads that it had begun before.",
    "restarted-with-pins": "A node came back to keys that it had pinned.",
    "restarted-with-super-peers": "A node came back to super-peers that had worked.",
    "restarted-with-shares": "A node came back to shares that it was told to keep.",
    "restarted-with-old-state": "A node came back to a state older than its last.",
    "restarted-with-nothing": "A node came back and remembered nothing of what it knew.",
    "ended-in-order": "A node ended by itself.",
    "power-lost": "A host lost its power.",
}


class LinkProbes:
    """A room."""

    def __init__(self, hit: Hit, schedule: Schedule) -> None:
        self._hit = hit
        self._schedule = schedule
        self._pinged: dict[bytes, float] = {}
        self._awake: dict[int, tuple[int, float]] = {}  # by host: its life, its last event
        self._slept: dict[int, None] = {}
        self._numbers: dict[int, int] = {}  # by host: the last download that it remembered

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """An event was taken in."""
        life, at = self._awake.get(host.number, (0, 0.0))
        if life == host.life and self._schedule.now - at >= ASLEEP_S:
            self._slept[host.number] = None
        on_event = self._EVENTS.get(type(event))
        if on_event is not None:
            on_event(self, host, event, effects)
        for effect in effects:
            on_effect = self._EFFECTS.get(type(effect))
            if on_effect is not None:
                on_effect(self, host, effect)
        self._awake[host.number] = (host.life, self._schedule.now)

    def darkened(self, _host: Host) -> None:
        """A host has lost its power."""
        self._hit("power-lost")

    # --- events -----------------------------------------------------------------------------

    def _woke(self, host: Host, _event: Woke, effects: list[Effect]) -> None:
        """The first time that it looks at its clock after it stood still."""
        if self._slept.pop(host.number, self) is not None:
            return
        links = links_of(host)
        silent = any(isinstance(e, CloseLink) and e.reason.startswith("silent") for e in effects)
        if links is not None and links.snapshot() and not silent:
            self._hit("frozen-accused-nobody")
        elif links is not None and not links.snapshot():
            self._hit("frozen-lost-its-links")

    def _frame(self, _host: Host, event: FrameReceived, _effects: list[Effect]) -> None:
        if isinstance(event.message, Unknown):
            self._hit("newer-node-passed-over")

    def _dial_failed(self, _host: Host, event: DialFailed, _effects: list[Effect]) -> None:
        self._hit(f"dial-{kebab(event.reason)}")

    def _rejected(self, _host: Host, _event: FrameRejected, _effects: list[Effect]) -> None:
        self._hit("frame-rejected")

    def _heard(self, _host: Host, _event: LinkHeard, _effects: list[Effect]) -> None:
        self._hit("frame-in-parts")

    def _datagram(self, _host: Host, event: DatagramReceived, _effects: list[Effect]) -> None:
        pong = event.message
        if not isinstance(pong, Pong):
            return
        asked_at = self._pinged.pop(pong.nonce, None)
        if asked_at is None:
            self._hit("pong-twice")
        elif self._schedule.now - asked_at > PONG_S:
            self._hit("pong-after-timeout")

    def _restored(self, host: Host, event: Restored, _effects: list[Effect]) -> None:
        if host.life < 2:
            return
        self._hit("restarted")
        for what, there in (
            ("downloads", event.downloads),
            ("pins", event.pins),
            ("super-peers", event.known),
            ("shares", event.shares),
        ):
            if there:
                self._hit(f"restarted-with-{what}")
        last = max((record.number for record in event.downloads), default=0)
        before = self._numbers.get(host.number, 0)
        if last < before:
            self._hit("restarted-with-old-state" if last else "restarted-with-nothing")

    # --- effects ----------------------------------------------------------------------------

    def _closes(self, _host: Host, effect: CloseLink) -> None:
        for beginning, name in _ENDS.items():
            if effect.reason.startswith(beginning):
                self._hit(name)
                return

    def _pings(self, _host: Host, effect: SendDatagram) -> None:
        if isinstance(effect.message, Ping):
            self._pinged[effect.message.nonce] = self._schedule.now
            if len(self._pinged) > PINGS_MAX:
                del self._pinged[next(iter(self._pinged))]

    def _sends(self, _host: Host, effect: SendFrame) -> None:
        if isinstance(effect.message, Refused) and effect.message.reason == "duplicate link":
            self._hit("simultaneous-dials")
        elif isinstance(effect.message, Bye):
            self._hit("goodbye-said")

    def _exits(self, _host: Host, _effect: Exited) -> None:
        self._hit("ended-in-order")

    def _remembers(self, host: Host, effect: RememberDownload) -> None:
        self._numbers[host.number] = max(self._numbers.get(host.number, 0), effect.record.number)

    _EVENTS: ClassVar[dict[type[Event], Callable[..., None]]] = {
        Woke: _woke,
        FrameReceived: _frame,
        DialFailed: _dial_failed,
        FrameRejected: _rejected,
        LinkHeard: _heard,
        DatagramReceived: _datagram,
        Restored: _restored,
    }

    _EFFECTS: ClassVar[dict[type[Effect], Callable[..., Any]]] = {
        CloseLink: _closes,
        SendDatagram: _pings,
        SendFrame: _sends,
        Exited: _exits,
        RememberDownload: _remembers,
    }
