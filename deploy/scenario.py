"""A network as one TOML file: super-peers, leaves, overlay, content, faults, workload.

The same file runs in every world; what a world cannot do it says. Nothing is guessed: an unknown
key, a negative number or a count that cannot be is a `UserError` that names the line. Everything
drawn at random is drawn from `seed`.
"""

import re
import tomllib
from pathlib import Path
from random import Random
from typing import Annotated, NoReturn

import msgspec
from msgspec import Meta

from common.errors import Exit, UserError
from common.limits import FILES_PER_LEAF_MAX, TTL_MAX
from deploy import graphs
from deploy.lines import line_of

SCENARIOS = Path(__file__).parent / "scenarios"
SUPER_PEER, LEAF = "super-peer", "leaf"

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]
Place = tuple[str | int, ...]

_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file; a key that it does not know is an error."""


class Overlay(Table, frozen=True):
    """The graph of the super-peers."""

    graph: graphs.Shape = "ring"
    degree: Positive = 3  # of a random graph, on average
    links: tuple[tuple[Count, Count], ...] = ()  # of an explicit graph
    delay_min_s: Seconds = 0.0  # one way; each link's delay is drawn between these two
    delay_max_s: Seconds = 0.0


class Attachment(Table, frozen=True):
    """Which super-peers the leaves hang on: in turn, each leaf knows the next ones too."""

    told: Positive = 2  # super-peers that a leaf is told of, first its parent
    relays: tuple[Count, ...] = ()  # super-peers that no leaf is told of


class Content(Table, frozen=True):
    """What is shared: real files of the machine, then made ones until there are `files`."""

    files: Count = 0
    folders: tuple[str, ...] = ()  # "python" means its standard library
    size_min: Count = 1  # bytes
    size_max: Positive = 65536
    copies: Positive = 1  # leaves that hold each file
    words: Positive = 3  # in the name of a made file


class Fault(Table, frozen=True):
    """Something bad, so many seconds after its phase began."""

    at_s: Seconds
    kill: str  # "super-peer 3" or "leaf 7", counted from 0: SIGKILL


class Phase(Table, frozen=True):
    """A part of the workload; the next begins when it is over and the network has settled."""

    name: str
    leaves_per_file: Count = 0  # each file is searched by its whole name from so many leaves
    searches: Count = 0  # more searches, of random files from random leaves
    gets: Count = 0  # downloads of random files to random leaves that lack them
    ttl: Annotated[int, Meta(ge=0, le=TTL_MAX)] = TTL_MAX
    at_once: Annotated[int, Meta(ge=1, le=256)] = 8  # searches under way at any time
    faults: tuple[Fault, ...] = ()


class Timeouts(Table, frozen=True):
    """How long anything may take before the run gives up on it."""

    ready_s: Seconds = 30.0
    published_s: Seconds = 120.0
    search_s: Seconds = 10.0
    get_s: Seconds = 60.0
    settled_s: Seconds = 30.0


class Scenario(Table, frozen=True):
    """A whole network and what happens to it."""

    super_peers: Positive
    leaves: Count
    seed: Count = 1
    time_scale: Annotated[float, Meta(gt=0)] = 1.0
    expected_to_fail: str = ""  # why, until what it needs is there
    overlay: Overlay = Overlay()
    attachment: Attachment = Attachment()
    content: Content = Content()
    phases: tuple[Phase, ...] = ()
    timeouts: Timeouts = Timeouts()
    name: str = ""  # the file's, without ending

    def edges(self) -> list[graphs.Edge]:
        """The links of the overlay, the lower number first; always the same for a seed."""
        overlay = self.overlay
        if overlay.graph == "explicit":
            return sorted({(min(a, b), max(a, b)) for a, b in overlay.links})
        return graphs.draw(overlay.graph, self.super_peers, overlay.degree, self.random("overlay"))

    def told(self, leaf: int) -> list[int]:
        """The super-peers that a leaf is told of, the one it should hang on first."""
        relays = dict.fromkeys(self.attachment.relays)
        parents = [number for number in range(self.super_peers) if number not in relays]
        told = range(leaf, leaf + min(self.attachment.told, len(parents)))
        return [parents[number % len(parents)] for number in told]

    def random(self, purpose: str) -> Random:
        """A generator of its own for each purpose, so that one draw does not shift another."""
        return Random(f"{self.seed}/{purpose}")


def load(where: str) -> Scenario:
    """The scenario of a path or of a name in `deploy/scenarios/`. Raises UserError."""
    path = Path(where)
    if not path.is_file():
        path = SCENARIOS / f"{where}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(file.stem for file in SCENARIOS.glob("*.toml")))
        raise UserError(
            Exit.USAGE, f"there is no readable scenario {where!r}", f"give a path or one of {known}"
        ) from error
    return parse(text, path.stem, str(path))


def parse(text: str, name: str, path: str = "scenario") -> Scenario:
    """The scenario that `text` describes; `path` is what errors call it. Raises UserError."""
    try:
        scenario = msgspec.convert(tomllib.loads(text), Scenario)
        _check(scenario)
    except tomllib.TOMLDecodeError as error:
        raise UserError(Exit.USAGE, f"{path} is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        message, place = _read(str(error))
        raise _ImpossibleError(message, place).at(path, text) from error
    except _ImpossibleError as error:
        raise error.at(path, text) from None
    return msgspec.structs.replace(scenario, name=name)


class _ImpossibleError(Exception):
    """What is wrong, and with which value."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.message, self.place = message, place

    def at(self, path: str, text: str) -> UserError:
        """As an error for people."""
        key = ".".join(str(step) for step in self.place)
        line = line_of(text, self.place)
        said = f"{key}: {self.message}" if key else self.message
        return UserError(Exit.USAGE, f"{path}:{line}: {said}")


def _read(error: str) -> tuple[str, Place]:
    """The sentence and the place of what msgspec said."""
    said, _, where = error.partition(" - at `$")
    place = tuple(int(i) if i else key for key, i in _STEP.findall(where.rstrip("`")))
    if unknown := _UNKNOWN.search(said):
        return "there is no such key", (*place, unknown[1])
    return said[:1].lower() + said[1:], place


def _check(scenario: Scenario) -> None:
    """Raise _ImpossibleError for what each value allows and all of them together do not."""
    _check_overlay(scenario)
    _check_content(scenario)
    relays = scenario.attachment.relays
    for number, relay in enumerate(relays):
        _within(relay, scenario.super_peers, "super-peer", ("attachment", "relays", number))
    if scenario.leaves and len(dict.fromkeys(relays)) == scenario.super_peers:
        _refuse("no super-peer is left that a leaf could hang on", ("attachment", "relays"))
    for number, phase in enumerate(scenario.phases):
        _check_phase(scenario, phase, ("phases", number))


def _check_overlay(scenario: Scenario) -> None:
    overlay, nodes = scenario.overlay, scenario.super_peers
    if (overlay.graph == "explicit") != bool(overlay.links) and nodes > 1:
        _refuse("links and graph = 'explicit' go together", ("overlay", "graph"))
    for number, link in enumerate(overlay.links):
        for end in link:
            _within(end, nodes, "super-peer", ("overlay", "links", number))
        if link[0] == link[1]:
            _refuse(f"super-peer {link[0]} is linked to itself", ("overlay", "links", number))
    if overlay.graph == "random" and nodes > 1 and overlay.degree >= nodes:
        _refuse(
            f"{nodes} super-peers cannot have {overlay.degree} neighbours each",
            ("overlay", "degree"),
        )
    if overlay.delay_min_s > overlay.delay_max_s:
        _refuse("the smallest delay is above the largest", ("overlay", "delay_min_s"))


def _check_content(scenario: Scenario) -> None:
    content, leaves = scenario.content, scenario.leaves
    if content.files and content.copies > leaves:
        _refuse(f"{content.copies} copies of a file need as many leaves", ("content", "copies"))
    if content.files * content.copies > leaves * FILES_PER_LEAF_MAX:
        _refuse(
            f"a leaf shares at most {FILES_PER_LEAF_MAX} files, so {leaves} leaves cannot hold all",
            ("content", "files"),
        )
    if content.size_min > content.size_max:
        _refuse("the smallest size is above the largest", ("content", "size_min"))


def _check_phase(scenario: Scenario, phase: Phase, place: Place) -> None:
    for key in ("leaves_per_file", "searches", "gets"):
        if getattr(phase, key) and not scenario.content.files:
            _refuse("there are no files to ask for", (*place, key))
    if phase.leaves_per_file > scenario.leaves:
        _refuse(f"there are only {scenario.leaves} leaves", (*place, "leaves_per_file"))
    if phase.gets and scenario.content.copies == scenario.leaves:
        _refuse("every leaf has every file already", (*place, "gets"))
    for number, fault in enumerate(phase.faults):
        at = (*place, "faults", number, "kill")
        kind, victim = victim_of(fault, at)
        count = scenario.super_peers if kind == SUPER_PEER else scenario.leaves
        _within(victim, count, kind, at)


def victim_of(fault: Fault, place: Place = ("kill",)) -> tuple[str, int]:
    """Which kind of node a fault strikes, and its number."""
    kind, _, number = fault.kill.rpartition(" ")
    if kind not in (SUPER_PEER, LEAF) or not (number.isascii() and number.isdigit()):
        raise _ImpossibleError(f"{fault.kill!r} is neither 'super-peer N' nor 'leaf N'", place)
    return kind, int(number)


def _within(number: int, count: int, what: str, place: Place) -> None:
    if number >= count:
        _refuse(f"there is no {what} {number}: they are counted from 0 to {count - 1}", place)


def _refuse(message: str, place: Place) -> NoReturn:
    raise _ImpossibleError(message, place)
