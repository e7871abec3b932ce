"""What people do in a small world while all goes wrong: search, fetch, share, pause, walk away.

A person asks any leaf that is there, for what is there, was there, or never was. What comes of it
is for checkers to hold against the truth.
"""

from functools import partial
from typing import Final

from common.content.torrent import file_id, parse_file_id
from common.core import Effect, Event
from common.storage import OpenPart, RememberWish, WishRecord
from deploy.sim.chaos.arena import Arena
from deploy.sim.chaos.truth import Content
from deploy.sim.host import Host
from deploy.sim.nodes import DOWNLOADS, SHARE
from deploy.sim.people import Ending
from leaf.methods import (
    Chosen,
    Exists,
    Get,
    Nothing,
    Remove,
    Search,
    SearchResult,
    Share,
    Unshare,
    WishAdd,
    WishChosen,
)

FETCHES: Final = 0.15  # of the searches, after how many something is fetched
REGRETS: Final = 0.05  # of what is begun to be fetched
REGRETS_S: Final = 0.004  # within which somebody changes his mind: about as long as a disk takes
FETCHED_MIN: Final = 0
FETCHED_MAX: Final = 4 * 1024 * 1024  # bytes: an unwritten file takes memory here
OTHER_SHARE: Final = "/other"
NUMBERS: Final = " ".join(map(str, range(1, 30)))  # one of them, where the target is taken
EXISTS: Final[tuple[Exists, ...]] = ("rename", "rename", "skip", "fail")
LEAVE_S: Final = (0.001, 8.0)  # after which somebody who is impatient does not wait any more


class Doings:
    """The people of one arena; `gets` is what was asked for and not given up."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self.until = 0.0
        self.gets: dict[tuple[int, Content], str] = {}  # leaf, content -> target

    def begin(self, until: float) -> None:
        """Do things up to that time."""
        self.until = until
        self._next()

    def _next(self) -> None:
        arena = self._arena
        if arena.world.now < self.until:
            self._do()
            arena.world.schedule.later(arena.rng.expovariate(1 / arena.plan.pause_s), self._next)

    def _do(self) -> None:
        arena = self._arena
        leaves = arena.honest(arena.leaves)
        if leaves:
            does = arena.rng.choices(
                [
                    *(self.search, self.get, self.look, self.pause, self.remove, self.share),
                    self.wish,
                ],
                [6, 3, 1, 1, 0.5, 1, 1],
            )[0]
            does(arena.rng.choice(leaves))

    def _ask(
        self, host: Host, method: str, params: object, on_end: Ending = lambda _outcome: None
    ) -> None:
        arena = self._arena
        call = arena.world.people.ask(host, method, params, on_end)  # type: ignore[arg-type]
        if arena.rng.random() < 0.1:
            arena.world.schedule.later(
                arena.rng.uniform(*LEAVE_S), lambda: arena.world.people.leave(call)
            )

    # --- one thing each ---------------------------------------------------------------------

    def search(self, host: Host) -> None:
        """Ask for a word, or several, of something that may be there."""
        rng, names = self._arena.rng, self._names()
        words = list(self._arena.truth.words_of(rng.choice(names))) if names else ["nothing"]
        asked = rng.sample(words, rng.randint(1, len(words)))
        if rng.random() < 0.1:
            asked.append(f"-{rng.choice(words)}")
        self._ask(
            host,
            "leaf.search",
            Search(
                asked,
                trace=rng.random() < 0.2,
                limit=rng.choice((1, 3, 50, 1000)),
                wait=rng.choice((2.0, 5.0, 10.0)),
                ttl=rng.choice((0, 1, 2, 10, 10, 10)),
                strategy=rng.choice(("ring", "dynamic", "flood")),
                type=rng.choice(("", "", "", "audio")),
                min_size=rng.choice((0, 0, 1000)),
            ),
            lambda outcome: self._found(host, outcome),
        )

    def _found(self, host: Host, outcome: object) -> None:
        """Now and then what was found is fetched, whatever it is."""
        rng = self._arena.rng
        hits = outcome.hits if isinstance(outcome, SearchResult) else []
        small = [hit for hit in hits if FETCHED_MIN <= hit.size <= FETCHED_MAX]
        if small and rng.random() < FETCHES:
            self._fetch(host, parse_file_id(rng.choice(small).id))

    def _names(self) -> list[str]:
        return [path for files in self._arena.truth.now.values() for path in files]

    def get(self, host: Host) -> None:
        """Fetch something, mostly what somebody has."""
        self._fetch(host, self._arena.rng.choice(list(self._arena.truth.contents)))

    def _fetch(self, host: Host, content: Content) -> None:
        arena, rng = self._arena, self._arena.rng
        root, size = content
        target = f"{DOWNLOADS}/file {rng.randrange(20)}"
        exists: Exists = rng.choice(EXISTS)
        arena.truth.fetched(host.number, content)
        arena.truth.name(content, target)
        arena.truth.name(content, f"{target} ({NUMBERS})")
        self.gets[host.number, content] = target
        get = Get(
            file_id(root, size),
            to=target,
            exists=exists,
            detach=rng.random() < 0.3,
            timeout=rng.choice((5.0, 20.0)),
            stream=root[0] % 2 == 0,
        )
        self._ask(host, "leaf.get", get)

    def fed(self, host: Host, _event: Event, effects: list[Effect]) -> None:
        """A host took in an event: does a wish fetch something, is it about to begin a download
        that nobody wants any more?"""
        arena = self._arena
        for effect in effects:
            if isinstance(effect, RememberWish):
                self._wished(host, effect.record)
        begun = [each for each in effects if isinstance(each, OpenPart)]
        for part in begun if arena.world.now < self.until else ():
            if arena.rng.random() < REGRETS:
                after_s = arena.rng.uniform(0, REGRETS_S)
                regret = partial(self._regret, host, (part.root, part.size))
                arena.world.schedule.later(after_s, regret)

    def _regret(self, host: Host, content: Content) -> None:
        """It was not meant: what is hardly begun is removed."""
        if host.is_running:
            self.gets.pop((host.number, content), None)
            self._ask(host, "leaf.rm", Remove(file_id(*content), delete_data=True))

    def look(self, host: Host) -> None:
        """See how things are."""
        method = self._arena.rng.choice(("leaf.downloads", "leaf.ls", "leaf.status"))
        self._ask(host, method, Nothing())

    def pause(self, host: Host) -> None:
        """Pause all downloads, and go on soon."""
        self._ask(host, "leaf.pause", Chosen())
        rng, life = self._arena.rng, host.life
        resume_s = rng.uniform(0.1, 5.0)

        def resume() -> None:
            if host.is_running and host.life == life:
                self._ask(host, "leaf.resume", Chosen())

        self._arena.world.schedule.later(resume_s, resume)

    def remove(self, host: Host) -> None:
        """Forget a download."""
        mine = [content for number, content in self.gets if number == host.number]
        if mine:
            root, size = content = self._arena.rng.choice(mine)
            del self.gets[host.number, content]
            delete = self._arena.rng.random() < 0.5
            self._ask(host, "leaf.rm", Remove(file_id(root, size), delete))

    def wish(self, host: Host) -> None:
        """Wish for what may come, look what has, or want it no longer."""
        rng, names = self._arena.rng, self._names()
        if rng.random() < 0.4 or not names:
            method = rng.choice(("leaf.wish_ls", "leaf.wish_rm", "leaf.wish_watch"))
            chosen = WishChosen(rng.choice((0, 0, 1, 2, 3)))
            call = self._arena.world.people.ask(host, method, chosen, lambda _outcome: None)
            watched_s = rng.uniform(*LEAVE_S)
            self._arena.world.schedule.later(
                watched_s, lambda: self._arena.world.people.leave(call)
            )
            return
        words = list(self._arena.truth.words_of(rng.choice(names))) or ["nothing"]
        wish = WishAdd(
            rng.sample(words, rng.randint(1, len(words))),
            auto_get=rng.random() < 0.4,
            max_files=rng.randint(1, 3),
            max_bytes=FETCHED_MAX,
        )
        self._ask(host, "leaf.wish_add", wish)

    def _wished(self, host: Host, record: WishRecord) -> None:
        """A leaf holds, or will hold, what its wish fetches."""
        for file in record.files:
            if file.fetched:
                content, target = (file.root, file.size), f"{DOWNLOADS}/{file.name}"
                self._arena.truth.fetched(host.number, content)
                self._arena.truth.name(content, target)
                self._arena.truth.name(content, f"{target} ({NUMBERS})")

    def share(self, host: Host) -> None:
        """Share another folder, or no longer."""
        arena = self._arena
        files = arena.files[host.number]
        if arena.rng.random() < 0.3:
            self._ask(host, "leaf.unshare", Unshare(OTHER_SHARE))
            return
        if not files.exists(OTHER_SHARE):
            data = arena.rng.randbytes(arena.rng.randint(1, 30_000))
            files.put(f"{OTHER_SHARE}/other thing {host.number}.txt", data)
            content = arena.truth.make(data)
            arena.truth.fetched(host.number, content)
            arena.truth.name(content, f"other thing {host.number}.txt")
        keep, wait = arena.rng.random() < 0.5, arena.rng.random() < 0.5
        self._ask(host, "leaf.share", Share([OTHER_SHARE, SHARE], keep=keep, wait=wait))
