"""After the faults: everything must be well again (invariants 19, 22, 23, 24).

Every honest leaf has a parent that knows it, the super-peers are one network, every file that lies
in a share is found from everywhere and nothing else is, downloads with a source are done, and
nobody waits for an answer any more. Faults are over by then and the pauses of the plan are short,
so what has not recovered never will.
"""

from typing import Final

from common.content.torrent import file_id, parse_file_id
from common.names import words
from common.terms import matches
from deploy import graphs
from deploy.sim.chaos.arena import Arena
from deploy.sim.chaos.truth import Content
from deploy.sim.host import Host
from deploy.sim.hostile import SUPER_PEERS
from deploy.sim.inside import LeafInside, leaf_of, links_of, parts_of, superpeer_of
from leaf.methods import Search, SearchResult
from leaf.swarm.download import State

SEARCH_S: Final = 12.0
KNOCK_S: Final = 1.0
WISHES_S: Final = 25.0  # in which all that anybody wishes for is asked for twice
PATIENCE_S: Final = 0.25  # between two looks for an answer
PLACES: Final = 8  # neighbours, with which everybody has room
WAITING: Final = (State.FETCHING, State.QUEUED, State.FINISHING)
RULE_22: Final = "22: after the faults all are one network again"
RULE_23: Final = "23: after the faults every file is found"
RULE_24: Final = "24: after the faults downloads finish"


class Liveness:
    """Looks at one arena that has been quiet for long enough."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._trusted = not arena.truth.lies  # a super-peer that lies may hide what it likes
        self._whole = True  # whether all super-peers are one network

    def check(self) -> None:
        """Tell of everything that is not well."""
        leaves = self._arena.honest(self._arena.leaves)
        self._overlay()
        for leaf in leaves:
            self._parent(leaf)
            self._links(leaf)
            self._catalogue(leaf)
            self._downloads(leaf)
            self._parts(leaf)
            self._patience(leaf)
        self._searches(leaves)
        self._wishes(leaves)
        if not self._arena.world.stopped:
            self._calls()

    # --- one network ------------------------------------------------------------------------

    def _overlay(self) -> None:
        arena = self._arena
        super_peers = arena.honest(arena.super_peers)
        alive = [host.number for host in super_peers]
        edges: list[graphs.Edge] = []
        for host in super_peers:
            inside = superpeer_of(host)
            for peer in inside.overlay.neighbours if inside else ():
                other = arena.world.by_node.get(peer)
                if other is not None:
                    edges.append((host.number, other.number))
        beside = graphs.neighbours(alive, edges)
        for host in super_peers:
            reached = graphs.ball(beside, host.number, len(alive))
            self._whole = self._whole and len(reached) == len(alive)
            if len(reached) < len(alive) and not self._may_be_surrounded():
                self._tell(RULE_22, f"{host.name} reaches {len(reached)} of {len(alive)}")

    def _may_be_surrounded(self) -> bool:
        """Whether neighbours that do harm can take all places, since nothing keeps some for others;
        or some can have as many as they want with those and without the rest: then nobody looks for
        the rest, and who has enough refuses it. Both ends of a missing link must be content."""
        arena, overlay = self._arena, self._arena.plan.config.overlay
        kinds = arena.truth.hostile.values()
        if kinds and overlay.degree_max < PLACES:
            return True
        liars = sum(kind in SUPER_PEERS for kind in kinds)
        most = liars + len(arena.super_peers) - 2  # neighbours, without oneself and the other end
        enough = max(overlay.degree_wanted, overlay.degree_min)
        return liars > 0 and overlay.degree_wanted > 0 and enough <= most

    def _parent(self, leaf: Host) -> None:
        inside = leaf_of(leaf)
        contact = inside.parent.contact if inside else None
        parent = self._arena.world.by_node.get(contact.node) if contact else None
        if parent is None or inside is None:
            why = inside.parent.reason if inside else "it does not run"
            self._tell(RULE_22, f"{leaf.name} has no parent: {why}")
            return
        there = superpeer_of(parent)
        if there is not None and leaf.identity.node not in there.cluster.members:
            self._tell(RULE_22, f"{parent.name} does not know its leaf {leaf.name}")
        left = inside.parent.leaving  # in a moment; it moves on purpose
        for host in self._arena.honest(self._arena.super_peers):
            other = superpeer_of(host)
            is_left = left is not None and left.node == host.identity.node
            if host is parent or is_left or other is None:
                continue
            if leaf.identity.node in other.cluster.members:
                self._tell(RULE_22, f"{host.name} thinks that {leaf.name} is its leaf")

    def _links(self, leaf: Host) -> None:
        """Both ends of a link agree that it is there."""
        links, now = links_of(leaf), self._arena.world.now
        for (peer, door), link in links._up.items() if links else ():
            other = self._arena.world.by_node.get(peer)
            if other is not None and other.number in self._arena.truth.hostile:
                continue
            wire = leaf.wires.get(link.number)
            if wire is not None and now - KNOCK_S < wire.gone_at <= now:
                continue  # word of its end is on its way
            there = links_of(other) if other is not None else None
            if there is None or (leaf.identity.node, door) not in there.snapshot():
                self._tell(RULE_22, f"{leaf.name} has a {door.value} link that nobody else has")

    # --- every file -------------------------------------------------------------------------

    def _catalogue(self, leaf: Host) -> None:
        """The parent holds what the leaf publishes, and that is what lies in its share."""
        arena, inside = self._arena, leaf_of(leaf)
        contact = inside.parent.contact if inside else None
        parent = arena.world.by_node.get(contact.node) if contact else None
        there = superpeer_of(parent) if parent else None
        kept = there.cluster._leaves.get(leaf.identity.node) if there else None
        if inside is None or kept is None:
            return
        published = inside.publisher._catalogue.items()
        if kept.holding._catalogue.items() != published:
            self._tell(RULE_23, f"{parent.name if parent else ''} holds other files of {leaf.name}")
        if leaf.number in arena.truth.decayed:
            return
        contents = {(entry.root, entry.size): None for _, entry in published}
        shared = arena.truth.now.get(leaf.number, {})
        for path, content in shared.items():
            if content not in contents:
                self._tell(RULE_23, f"{leaf.name} does not publish {path}")
        for content in contents:
            if not arena.truth.may_share(leaf.number, content):
                self._tell(RULE_23, f"{leaf.name} publishes what it does not have")
        for root, files in inside.library._holdings._by_root.items():
            for file in files.values():
                if not arena.truth.may_share(leaf.number, (root, file.size)):
                    self._tell(RULE_23, f"{leaf.name} serves what it does not share")

    def _knock(self, leaves: list[Host]) -> None:
        """Ask a little: who was left out for its silence is asked again by one search at a time."""
        for _ in range(3):
            for leaf in leaves:
                search = Search(["knock"], wait=KNOCK_S)
                self._arena.world.people.ask(leaf, "leaf.search", search, _heard)
                self._arena.world.run(self._arena.world.now + KNOCK_S)

    def _searches(self, leaves: list[Host]) -> None:
        self._knock(leaves)
        arena = self._arena
        for leaf in leaves:
            for path in self._some_paths():
                asked = words(path.rpartition("/")[2])
                heard: list[object] = []
                search = Search(list(asked), limit=1000, wait=SEARCH_S - 2)
                arena.world.people.ask(leaf, "leaf.search", search, heard.append)
                until = arena.world.now + SEARCH_S
                while not heard and arena.world.now < until and not arena.world.stopped:
                    arena.world.run(min(arena.world.now + PATIENCE_S, until))
                if not arena.world.stopped:
                    self._answer(leaf, path, self._expected(asked), heard)

    def _some_paths(self) -> list[str]:
        arena = self._arena
        paths = [
            path
            for leaf in arena.honest(arena.leaves)
            if leaf.number not in arena.truth.decayed
            for path in arena.truth.now.get(leaf.number, {})
            if words(path.rpartition("/")[2])
        ]
        return arena.rng.sample(paths, min(2, len(paths)))

    def _expected(self, asked: list[str]) -> dict[str, int]:
        """How many honest leaves have each file in their share that has all these words."""
        arena = self._arena
        found: dict[tuple[Content, int], None] = {}
        for leaf in arena.honest(arena.leaves):
            if leaf.number in arena.truth.decayed:
                continue
            for path, content in arena.truth.now.get(leaf.number, {}).items():
                if all(word in words(path) for word in asked):
                    found[content, leaf.number] = None
        counts: dict[str, int] = {}
        for (root, size), _ in found:
            counts[file_id(root, size)] = counts.get(file_id(root, size), 0) + 1
        return counts

    def _answer(self, leaf: Host, path: str, expected: dict[str, int], heard: list[object]) -> None:
        result = heard[0] if heard else None
        if not isinstance(result, SearchResult):
            self._tell(RULE_23, f"{leaf.name} searched {path!r} and heard {result!r:.120}")
            return
        found = {hit.id: hit.sources for hit in result.hits}
        if not self._arena.truth.hostile and not self._arena.truth.decayed:
            self._nothing_else(leaf, list(found))
        missing = {one: count for one, count in expected.items() if found.get(one, 0) < count}
        if self._trusted and missing:
            text = f"{leaf.name} searched {path!r}: {len(missing)} of {len(expected)} files missing"
            self._tell(RULE_23, text)
        if self._trusted and not result.coverage.complete:
            self._tell(RULE_23, f"{leaf.name} searched {path!r}: {result.coverage}")

    def _nothing_else(self, leaf: Host, found: list[str]) -> None:
        """What is found lies in a share, or was fetched."""
        leaves, truth = self._arena.leaves, self._arena.truth
        for content in map(parse_file_id, found):
            if not any(truth.may_share(each.number, content) for each in leaves):
                self._tell(RULE_23, f"{leaf.name} finds {file_id(*content)}, which is gone")

    def _wishes(self, leaves: list[Host]) -> None:
        """Every wish has found what others share, unless it is content with what it has."""
        arena = self._arena
        if not self._trusted or arena.world.stopped:
            return
        arena.world.run(arena.world.now + WISHES_S)
        insides = [inside for inside in map(leaf_of, leaves) if inside is not None]
        shared = [
            (each, entry)
            for leaf, each in zip(leaves, insides, strict=False)
            if leaf.number not in arena.truth.decayed
            for _, entry in each.publisher._catalogue.items()
        ]
        for leaf, inside in zip(leaves, insides, strict=False):
            for wish in inside.wishes._wishes.values():
                if not wish.watched and not wish.is_full:
                    self._tell(RULE_23, f"nobody looks for a wish of {leaf.name}: {wish.fault}")
                missed = [
                    entry.name
                    for owner, entry in shared
                    if owner is not inside
                    and matches(wish.terms, entry)
                    and (entry.root, entry.size) not in wish.known
                    and inside.library.find(entry.root, entry.size) is None
                ]
                if missed and not wish.is_full:
                    what = f"{wish.record.words} and was not told of {len(missed)} files"
                    self._tell(RULE_23, f"{leaf.name} wished for {what}: {missed[0]!r}")

    # --- nobody waits -----------------------------------------------------------------------

    def _downloads(self, leaf: Host) -> None:
        arena, inside = self._arena, leaf_of(leaf)
        if not (self._whole and self._is_led(leaf)):
            return
        turns_are_held = inside is not None and self._turns_are_held(inside)
        for download in inside.downloads._downloads.values() if inside else ():
            if turns_are_held and download.state is State.QUEUED:
                continue
            record = download.record
            holders = self._holders((record.root, record.size))
            given_up = download.state is State.PAUSED and record.reason  # nobody paused it
            full = download.state is State.FAILED and "No space" in record.reason
            if holders and (download.state in WAITING or given_up or full):
                names = [arena.world.hosts[number].name for number in holders]
                what = f"{leaf.name} still has a download {download.state.value}, though {names} "
                self._tell(RULE_24, what + f"have it ({download.done_bytes} of {record.size})")

    def _holders(self, content: Content) -> list[int]:
        """Who has all of it, can read it, and is found."""
        arena = self._arena
        return [
            number
            for number in arena.truth.holders(content)
            if number not in arena.truth.decayed and self._is_led(arena.world.hosts[number])
        ]

    def _turns_are_held(self, inside: LeafInside) -> bool:
        """Whether swarms that nobody can complete take all turns: a known weakness."""
        downloads = inside.downloads
        linked = [each.record for each in downloads._under_way.values() if each.linked > 0]
        dead = [one for one in linked if not self._holders((one.root, one.size))]
        return len(dead) >= downloads._config.downloads_active_max

    def _parts(self, leaf: Host) -> None:
        """A disk keeps open what is a download, and nothing else."""
        inside = leaf_of(leaf)
        known = inside.downloads._downloads if inside is not None else {}
        if any(number not in known for number in parts_of(leaf)):
            self._tell("17: nothing stays open", f"{leaf.name} keeps the part of no download")

    def _patience(self, leaf: Host) -> None:
        """Who waits for what nobody has is told so after his timeout."""
        inside = leaf_of(leaf)
        askers = inside.downloads._askers if inside else None
        for call, asker in askers._askers.items() if askers else ():
            until = askers.deadlines.get(("patience", call)) if askers else None
            if until is not None and until > leaf.clock + asker.timeout_s:
                what = f"leaf.get of {leaf.name} waits {until - leaf.clock:.0f} s more"
                self._tell("19: every request ends exactly once", what)

    def _is_led(self, leaf: Host) -> bool:
        """Whether its parent does no harm, so that it finds and is found."""
        inside = leaf_of(leaf)
        contact = inside.parent.contact if inside else None
        parent = self._arena.world.by_node.get(contact.node) if contact else None
        return parent is None or parent.number not in self._arena.truth.hostile

    def _calls(self) -> None:
        arena, people = self._arena, self._arena.world.people
        if "leaf.search" in people.open_methods():  # a parent that is silent costs all its time
            arena.world.run(arena.world.now + SEARCH_S)
        for number, call in people._calls.items():
            waits = call.method == "leaf.share" and not self._is_led(call.host)
            if call.method == "leaf.get":
                waits = self._is_watched(number, call.host)
            if not waits:
                what = f"{call.method} of {call.host.name} never did"
                self._tell("19: every request ends exactly once", what)

    def _is_watched(self, call: int, leaf: Host) -> bool:
        """Whether a leaf still knows that this call waits for a file."""
        inside = leaf_of(leaf)
        return inside is not None and call in inside.downloads._askers._askers

    def _tell(self, rule: str, what: str) -> None:
        self._arena.world.violate(rule, what)


def _heard(_outcome: object) -> None:
    """Nothing hangs on it."""
