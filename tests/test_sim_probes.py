"""Probes: what each counts, what it is called, and what a soak makes of those never reached."""

import re
from collections import Counter
from random import Random
from typing import Any

import pytest

from common.addresses import Address
from common.core import (
    CloseLink,
    DatagramReceived,
    DialFailed,
    Effect,
    Event,
    Fail,
    FrameReceived,
    Notify,
    SendDatagram,
    SendFrame,
    Woke,
)
from common.errors import Exit
from common.meeting import padded_ping
from common.messages.link import Echo, Pong, Refused
from common.messages.swarm import Cancel, Choke, Piece, Reject, Unchoke
from common.storage import (
    DownloadRecord,
    PartFailed,
    ReadFailed,
    RememberDownload,
    Restored,
)
from common.wire import UNKNOWN
from deploy.sim import soak
from deploy.sim.chaos.run import run
from deploy.sim.host import Host
from deploy.sim.nodes import NETWORK, SHARE, Plan, builder
from deploy.sim.probes import REQUIRED, SENTENCES, Probes, missed, sentence
from deploy.sim.probes.families import FAMILIES, kebab
from deploy.sim.shelf import Shelf
from deploy.sim.world import World

ROOT = bytes(32)


class Scene:
    """Two leaves that are there to be looked at; nothing is ever sent between them."""

    def __init__(self) -> None:
        self.world = World(1)
        self.one, self.other, self.bad = [self._leaf(number) for number in range(3)]
        self.probes = Probes(self.world.schedule, {self.bad.number: "corrupter"})

    def _leaf(self, number: int) -> Host:
        host = self.world.add(
            f"leaf {number}",
            Address.of(f"10.0.0.{number + 1}", 1214),
            build=builder(Plan(("leaf",), shares=(SHARE,)), self.world.draws),
            equip=lambda host: Shelf((), host.take),
        )
        host.start()
        return host

    def fed(self, event: Event, *effects: Effect, host: Host | None = None) -> Counter[str]:
        """What is counted after this."""
        self.probes.fed(host or self.one, event, list(effects))
        return self.probes.counts

    def sent(self, message: Any, *, back: bool = False) -> Counter[str]:
        """What is counted after this message."""
        pair = (self.other, self.one) if back else (self.one, self.other)
        self.probes.sent(*pair, message, None)
        return self.probes.counts


@pytest.fixture
def scene() -> Scene:
    """A fresh one."""
    return Scene()


# --- names --------------------------------------------------------------------------------------


def test_every_probe_has_a_name_and_a_sentence() -> None:
    """Names are kebab-case; sentences begin with a capital and end with a full stop."""
    for name, said in SENTENCES.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+|finished|restarted", name), name
        assert said[0].isupper() and said.endswith("."), said
    assert len(SENTENCES) >= 130


def test_required_probes_are_known_and_many() -> None:
    """Each has a sentence or belongs to a family, and none stands there twice."""
    assert len(REQUIRED) >= 150
    assert len(dict.fromkeys(REQUIRED)) == len(REQUIRED)
    for name in REQUIRED:
        assert sentence(name) != "{}" and sentence(name).endswith("."), name


def test_a_family_makes_its_sentences() -> None:
    """What was found by looking is told in words."""
    assert sentence("sent-query-hits") == "A message of this type was sent: query hits."
    assert set(FAMILIES) >= {"sent", "heard", "note", "ended", "dropped", "download", "disk"}


def test_kebab_of_classes_and_reasons() -> None:
    """Whatever a name looks like, it becomes words joined by a dash."""
    assert kebab("QueryHits") == "query-hits"
    assert kebab("hits_out_of_scope") == "hits-out-of-scope"
    assert kebab("message at the wrong door") == "message-at-the-wrong-door"


def test_what_was_missed_is_what_is_required_and_not_there() -> None:
    """In the order of the list."""
    assert missed({}) == list(REQUIRED)
    assert missed(dict.fromkeys(REQUIRED[1:], 1)) == [REQUIRED[0]]


# --- families -----------------------------------------------------------------------------------


def test_messages_are_counted_as_sent_and_as_heard(scene: Scene) -> None:
    """By type; what a hostile node hears counts for nothing."""
    assert scene.sent(Choke(ROOT))["sent-choke"] == 1
    assert scene.fed(FrameReceived(1, Choke(ROOT)))["heard-choke"] == 1
    assert scene.fed(FrameReceived(1, Choke(ROOT)), host=scene.bad)["heard-choke"] == 1


def test_rejects_are_counted_by_reason(scene: Scene) -> None:
    """With and without an offset."""
    scene.sent(Reject(ROOT, "not_here"))
    assert scene.sent(Reject(ROOT, "too_many", 0)) == Counter(
        {"sent-reject": 2, "rejected-all-not-here": 1, "rejected-one-too-many": 1}
    )


def test_outcomes_are_counted_by_method_and_code(scene: Scene) -> None:
    """A failure by its exit code."""
    scene.probes.asked(scene.one, 7, "leaf.get", DownloadRecord(1, ROOT, 1, "", "", ""))
    scene.probes.ended(scene.one, 7, Fail(7, Exit.UNREACHABLE, "nobody"))
    assert scene.probes.counts["ended-leaf-get-failed-unreachable"] == 1


def test_notes_and_disk_events_are_counted(scene: Scene) -> None:
    """By name and by kind."""
    scene.probes.noted(scene.one, Notify("share_failed"))
    scene.fed(ReadFailed(1, "gone"))
    counts = scene.fed(PartFailed(1, "full", "", ""))
    assert counts["note-share-failed"] == counts["disk-read-failed-gone"] == 1
    assert counts["disk-part-failed-full"] == 1


def test_states_of_a_download_and_the_ways_between(scene: Scene) -> None:
    """Each state as it is entered, each change as a pair."""
    record = DownloadRecord(1, ROOT, 1, "/to", "rename", "queued")
    fetching = DownloadRecord(1, ROOT, 1, "/to", "rename", "fetching")
    scene.fed(Woke(), RememberDownload(record), RememberDownload(fetching))
    counts = scene.fed(Woke(), RememberDownload(fetching, forget=True))
    names = ("download-queued", "download-fetching", "moved-queued-to-fetching")
    assert [counts[name] for name in names] == [1, 1, 1]
    assert counts["download-forgotten"] == 1


# --- rooms --------------------------------------------------------------------------------------


def test_ends_of_links_are_counted_by_reason(scene: Scene) -> None:
    """By how the reason begins."""
    counts = scene.fed(Woke(), CloseLink(1, "silent for 2.6 s"), CloseLink(2, "wrong bytes"))
    assert counts["link-silent"] == counts["source-sent-wrong-bytes"] == 1
    assert scene.fed(DialFailed(1, "connection refused"))["dial-connection-refused"] == 1


def test_simultaneous_dials_and_newer_nodes(scene: Scene) -> None:
    """A refusal of the second link; a message that nobody understands."""
    counts = scene.fed(FrameReceived(1, Echo(1)), SendFrame(1, Refused("duplicate link")))
    assert counts["simultaneous-dials"] == 1
    assert scene.fed(FrameReceived(1, UNKNOWN))["newer-node-passed-over"] == 1


def test_pongs_late_and_twice(scene: Scene) -> None:
    """A pong after a second is late, one more is one too many."""
    place = Address.of("10.0.0.2", 1214)
    ping = padded_ping(Random(1).randbytes(16), NETWORK)
    scene.fed(Woke(), SendDatagram(place, ping))
    scene.world.schedule.run(1.5)
    pong = Pong(ping.nonce, NETWORK.name, ROOT, None, 0, 0, 0, place)
    assert scene.fed(DatagramReceived(place, pong))["pong-after-timeout"] == 1
    assert scene.fed(DatagramReceived(place, pong))["pong-twice"] == 1


def test_restarts_with_old_and_without_state(scene: Scene) -> None:
    """What a node remembered in its last life is held against what it remembers now."""
    record = DownloadRecord(3, ROOT, 1, "/to", "rename", "queued")
    scene.fed(Woke(), RememberDownload(record))
    scene.one.life = 2
    older = DownloadRecord(2, ROOT, 1, "/to", "rename", "queued")
    assert scene.fed(Restored(downloads=(older,)))["restarted-with-old-state"] == 1
    assert scene.fed(Restored())["restarted-with-nothing"] == 1


def test_a_piece_that_is_late_and_a_slot_that_is_later(scene: Scene) -> None:
    """A piece whose request was taken back; an unchoke after a choke."""
    scene.sent(Cancel(ROOT, 0))
    assert scene.sent(Piece(ROOT, 0), back=True)["piece-of-a-late-request"] == 1
    assert scene.sent(Unchoke(ROOT))["source-unchoked-us-later"] == 0
    scene.sent(Choke(ROOT))
    assert scene.sent(Unchoke(ROOT))["source-unchoked-us-later"] == 1


# --- soaks --------------------------------------------------------------------------------------


def test_a_small_world_reaches_many_probes() -> None:
    """One seed is enough for dozens, and the same ones each time."""
    one, other = run(3), run(3)
    assert one.probes == other.probes
    assert len(one.probes) > 60
    assert one.probes["parent-found-first"] and one.probes["sent-hello"]


def test_a_soak_adds_up_what_its_seeds_reached() -> None:
    """Counts are sums over all verdicts."""
    report, verdicts = soak.soak(3, run(3).events + 1)
    assert len(verdicts) == 2
    for name, count in report.probes.items():
        assert count == sum(each.probes.get(name, 0) for each in verdicts)


def test_a_short_run_tells_what_it_missed_and_does_not_fail(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only a run of a million events must have reached them all."""
    assert soak.main(["--seed", "1", "--events", "1", "--probes"]) == 0
    assert "never reached: " in capsys.readouterr().err
