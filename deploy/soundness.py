"""What each value of a scenario allows and all of them together do not.

Types and single bounds are checked where the tables are read (`deploy.scenario`); here stand the
counts that cannot be, so that no world meets them halfway through a run, and the keys that nothing
would heed, so that nobody believes in them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from common.config import OverlayConfig
from common.limits import FILES_PER_LEAF_MAX
from common.shell.desk.settings import unfit
from deploy.content import copies_of
from deploy.graphs import WITH_DEGREES
from deploy.scenario import Fault, Phase, Scenario
from deploy.targets import LEAF, SUPER_PEER, TargetError, read_aim

Place = tuple[str | int, ...]


class ImpossibleError(Exception):
    """What is wrong, and with which value."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.message, self.place = message, place


def check(scenario: Scenario) -> None:
    """Raise ImpossibleError for the first value that cannot be."""
    for place, value in _numbers(scenario, ()):
        key = ".".join(map(str, place)).removeprefix("config.")
        if reason := unfit(key, value):  # the rules of the daemons' own settings
            _refuse(reason, place)
    _check_overlay(scenario)
    _check_hosts(scenario)
    _check_content(scenario)
    relays = scenario.attachment.relays
    for number, relay in enumerate(relays):
        _within(relay, scenario.super_peers, SUPER_PEER, ("attachment", "relays", number))
    if scenario.leaves and len(dict.fromkeys(relays)) == scenario.super_peers:
        _refuse("no super-peer is left that a leaf could hang on", ("attachment", "relays"))
    if scenario.together and scenario.leaves != scenario.super_peers:
        _refuse("as many leaves as super-peers are needed to live together", ("together",))
    for number, phase in enumerate(scenario.phases):
        _check_phase(scenario, phase, ("phases", number))
    _check_who_is_left(scenario)
    if scenario.content.files:
        _check_downloads(scenario)


def check_heeded(written: Mapping[str, Any], scenario: Scenario) -> None:
    """Raise ImpossibleError for the first key of a file, `written`, that would have no effect."""
    if "name" in written:
        _refuse("a scenario is called as its file", ("name",))
    if "time_scale" in written.get("config", ()):
        _refuse("say it above all tables: it is the whole scenario's", ("config", "time_scale"))
    overlay, content = scenario.overlay, scenario.content
    if "degree" in written.get("overlay", ()) and overlay.graph not in WITH_DEGREES:
        _refuse(f"a graph that is {overlay.graph!r} has its own degrees", ("overlay", "degree"))
    tellable = scenario.super_peers - len(dict.fromkeys(scenario.attachment.relays))
    if "told" in written.get("attachment", ()) and scenario.attachment.told > tellable:
        _refuse(
            f"a leaf can be told of {tellable} super-peers at most: there are no more",
            ("attachment", "told"),
        )
    if not content.sharing_on and _all_share(scenario):
        _refuse(
            "every leaf shares something and so serves: say fewer sharers",
            ("content", "sharing_on"),
        )


def _all_share(scenario: Scenario) -> bool:
    """Whether every leaf is sure to hold a file: they have their turns, or all hold the same."""
    content, leaves = scenario.content, scenario.leaves
    enough = content.files >= leaves or (content.files and content.copies == leaves)
    return bool(enough) and content.sharers in (0, leaves)


def _numbers(value: object, place: Place) -> Iterator[tuple[Place, float]]:
    """Every number in a scenario, and where it stands."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _numbers(getattr(value, name), (*place, name))
    elif isinstance(value, tuple):
        for number, each in enumerate(value):
            yield from _numbers(each, (*place, number))
    elif isinstance(value, (int, float)):
        yield place, value


def _check_overlay(scenario: Scenario) -> None:
    overlay, nodes = scenario.overlay, scenario.super_peers
    if scenario.config.overlay.degree_wanted != OverlayConfig().degree_wanted and not overlay.mends:
        _refuse("only an overlay that mends goes by it", ("config", "overlay", "degree_wanted"))
    if (overlay.graph == "explicit") != bool(overlay.links) and nodes > 1:
        _refuse("links and graph = 'explicit' go together", ("overlay", "graph"))
    for number, link in enumerate(overlay.links):
        for end in link:
            _within(end, nodes, SUPER_PEER, ("overlay", "links", number))
        if link[0] == link[1]:
            _refuse(f"super-peer {link[0]} is linked to itself", ("overlay", "links", number))
    if overlay.graph in WITH_DEGREES and nodes > 1 and overlay.degree >= nodes:
        _refuse(
            f"{nodes} super-peers cannot have {overlay.degree} neighbours each",
            ("overlay", "degree"),
        )
    if overlay.delay_min_s > overlay.delay_max_s:
        _refuse("the smallest delay is above the largest", ("overlay", "delay_min_s"))


def _check_hosts(scenario: Scenario) -> None:
    hosts = scenario.hosts
    if scenario.large:
        for key in ("up_max", "down_max"):
            if getattr(hosts, key):
                _refuse("a large world has no bytes that a rate could slow down", ("hosts", key))
    if hosts.delay_min_s > hosts.delay_max_s:
        _refuse("the smallest delay is above the largest", ("hosts", "delay_min_s"))
    for way, low, high in (
        ("up", hosts.up_min, hosts.up_max),
        ("down", hosts.down_min, hosts.down_max),
    ):
        if low > high or (high and not low):
            _refuse(
                f"{way}_min and {way}_max go together, the smaller first", ("hosts", f"{way}_min")
            )


def _check_content(scenario: Scenario) -> None:
    content, leaves = scenario.content, scenario.leaves
    if content.sharers > leaves:
        _refuse(f"there are only {leaves} leaves", ("content", "sharers"))
    sharers = content.sharers or leaves
    if content.files and content.copies > sharers:
        _refuse(f"{content.copies} copies of a file need as many leaves", ("content", "copies"))
    if content.files * content.copies > sharers * FILES_PER_LEAF_MAX and not content.zipf:
        _refuse(
            f"a leaf shares at most {FILES_PER_LEAF_MAX} files, so {sharers} leaves "
            "cannot hold all",
            ("content", "files"),
        )
    if content.size_min > content.size_max:
        _refuse("the smallest size is above the largest", ("content", "size_min"))


def _check_phase(scenario: Scenario, phase: Phase, place: Place) -> None:
    for key in ("leaves_per_file", "searches", "gets", "crowd"):
        if getattr(phase, key) and not scenario.content.files:
            _refuse("there are no files to ask for", (*place, key))
    if phase.leaves_per_file > scenario.leaves:
        _refuse(f"there are only {scenario.leaves} leaves", (*place, "leaves_per_file"))
    for key in ("gets", "crowd"):
        if getattr(phase, key) and scenario.large:
            _refuse("a large world has no bytes to fetch", (*place, key))
    for number, fault in enumerate(phase.faults):
        _check_fault(scenario, fault, (*place, "faults", number))


def _check_who_is_left(scenario: Scenario) -> None:
    """Nobody asks from a leaf that an earlier phase killed."""
    gone: dict[int, None] = {}
    for number, phase in enumerate(scenario.phases):
        left = scenario.leaves - len(gone)
        if phase.leaves_per_file > left:
            _refuse(f"only {left} leaves are left by then", ("phases", number, "leaves_per_file"))
        for fault in sorted(phase.faults, key=lambda fault: fault.at_s):
            gone.update(dict.fromkeys(_leaves_of(scenario, fault.kill)))
            for leaf in _leaves_of(scenario, fault.restart):
                gone.pop(leaf, None)


def _leaves_of(scenario: Scenario, text: str) -> Sequence[int]:
    """The leaves that an aim surely means, or as many; who is busiest only the run knows."""
    aim = read_aim(text) if text else None
    if aim is None or aim.rank is not None:
        return ()
    if aim.kind == SUPER_PEER and not scenario.together:
        return ()
    if aim.number is not None:
        return (aim.number,)
    return range(math.ceil(aim.share * scenario.leaves))


def _check_downloads(scenario: Scenario) -> None:
    """A leaf fetches a file that it lacks, and lacks it no more: there are only so many pairs."""
    content, leaves = scenario.content, scenario.leaves
    sharers = content.sharers or leaves
    copies = [min(copies_of(content, rank), sharers) for rank in range(content.files)]
    lacking, left = leaves - min(copies), leaves * content.files - sum(copies)
    for number, phase in enumerate(scenario.phases):
        place = ("phases", number)
        if phase.gets and not left:
            _refuse("every leaf has every file already", (*place, "gets"))
        if phase.gets > left:
            _refuse(f"only {left} downloads are left that anybody can make", (*place, "gets"))
        if phase.crowd > min(lacking, left - phase.gets):
            most = min(lacking, left - phase.gets)
            _refuse(f"only {most} leaves can lack a file", (*place, "crowd"))
        if not phase.may_fail and scenario.churn.profile == "none":  # all of these succeed
            left -= phase.gets + phase.crowd


def _check_fault(scenario: Scenario, fault: Fault, place: Place) -> None:
    given = {
        key: [value] if isinstance(value, str) else value
        for key in ("kill", "stop", "restart", "cut")
        if (value := getattr(fault, key))
    }
    if len(given) != 1:
        _refuse("say one of kill, stop, restart and cut", place)
    for key, targets in given.items():
        for target in targets:
            _check_target(scenario, target, (*place, key))
    if (fault.stop or fault.cut) and not fault.for_s:
        _refuse("say how long, in for_s", place)
    if fault.kill and fault.for_s:
        _refuse("what is killed stays away: say restart if it shall come back", (*place, "for_s"))


def _check_target(scenario: Scenario, text: str, place: Place) -> None:
    try:
        aim = read_aim(text)
    except TargetError as error:
        raise ImpossibleError(str(error), place) from None
    count = scenario.super_peers if aim.kind == SUPER_PEER else scenario.leaves
    if aim.number is not None:
        _within(aim.number, count, aim.kind, place)
    if aim.rank is not None and aim.kind == LEAF:
        _refuse("only super-peers are told apart by how busy or how well linked they are", place)


def _within(number: int, count: int, what: str, place: Place) -> None:
    if number >= count:
        _refuse(f"there is no {what} {number}: they are counted from 0 to {count - 1}", place)


def _refuse(message: str, place: Place) -> NoReturn:
    raise ImpossibleError(message, place)
