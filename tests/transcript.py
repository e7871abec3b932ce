"""Golden conversations: a command, a line, and everything that it made the nodes say.

A transcript is run in a world with equal delays, so that it reads like a diagram. Times are left
out, keys are names, GUIDs are numbered as they appear, and fields that have their default are not
shown. Commands, one a line before `----`:

    superpeers sp1 sp2, sp1-sp2, leaves_max=1     settings are optional
    leaf1 joins sp1                               a new leaf, or one that comes back
    leaf1 restarts                                its next join begins another life
    leaf1 shares a.txt b.txt                      with the parent it joined last
    leaf1 shares all again                        its whole catalogue, afresh
    leaf1 searches hello, ttl=2 strategy=flood    settings are optional
    leaf1 locates hello.txt
    leaf1 wishes hello                            leaf1 wishes no more
    leaf1 loses its link | leaf1 says bye
    leaf1 leaves sp1                              it has joined another one
    sp1 and sp2 part                              their link breaks; it is made again soon
    kill sp2 | drain sp2
    advance 1s

Each command gets two seconds of virtual time, or what stands behind it: `kill sp2 (15ms)`.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import msgspec

from common.config import ClusterConfig, Config
from common.core import Asked, Notify
from common.messages.cluster import Coverage, Hit, Leave, Locate, Put, Unwish, Wish
from common.messages.fields import Contact, Message
from common.messages.overlay import Extent, Patch
from common.terms import Terms, parse
from superpeer.methods import Drain
from tests.overlay_world import World, entry_of

_HIDDEN = (
    *("signature", "proof", "nonce", "body", "root"),
    *("elapsed_s", "epoch", "lease_s", "entries_max"),
)
_PAUSE = re.compile(r" \((\d+)ms\)$")


class Transcript:
    """Runs commands and writes down what they caused."""

    def __init__(self) -> None:
        self.world = World(delay_s=(0.01, 0.01))
        self._guids: dict[bytes, str] = {}
        self._parents: dict[str, str] = {}
        self._wish: dict[str, bytes] = {}

    def run(self, commands: list[str]) -> str:
        """The conversation that these commands cause."""
        before = len(self.world.story)
        for command in commands:
            pause = _PAUSE.search(command)
            self._do(_PAUSE.sub("", command))
            self.world.advance(int(pause[1]) / 1000 if pause else 2.0)
        return "\n".join(self._told(entry) for entry in self.world.story[before:])

    # --- commands ---------------------------------------------------------------------------

    def _do(self, command: str) -> None:
        for pattern, does in self._COMMANDS.items():
            match = re.fullmatch(pattern, command)
            if match:
                does(self, *match.groups(""))
                return
        raise ValueError(f"no transcript knows the command {command!r}")

    def _superpeers(self, names: str, edges: str, settings: str) -> None:
        leaves_max = int(_settings(settings).get("leaves_max", "150"))
        pairs = [(a, b) for a, _, b in (edge.partition("-") for edge in edges.split())]
        config = Config(cluster=ClusterConfig(leaves_max=leaves_max))
        self.world.superpeers(names.split(), pairs, config)

    def _joins(self, leaf: str, parent: str) -> None:
        if leaf not in self.world.nodes:
            self.world.leaf(leaf)
        self._parents[leaf] = parent
        self.world.join(leaf, parent)

    def _restarts(self, leaf: str) -> None:
        puppet = self.world.puppet(leaf)
        self.world.leaf(leaf, puppet.epoch + 1)

    def _shares(self, leaf: str, files: str) -> None:
        self.world.publish(leaf, self._parents[leaf], dict.fromkeys(files.split(), 1))

    def _shares_again(self, leaf: str) -> None:
        self.world.publish(leaf, self._parents[leaf], {}, afresh=True)

    def _searches(self, leaf: str, words: str, settings: str) -> None:
        how = _settings(settings)
        self.world.search(
            leaf,
            self._parents[leaf],
            words,
            guid=self.world.rng.randbytes(16),
            ttl=int(how.get("ttl", "10")),
            wanted=int(how.get("wanted", "50")),
            strategy=how.get("strategy", "ring"),
        )

    def _locates(self, leaf: str, name: str) -> None:
        entry = entry_of(name)
        guid = self.world.rng.randbytes(16)
        self.world.say(leaf, self._parents[leaf], Locate(guid, entry.root, entry.size, 10))

    def _wishes(self, leaf: str, words: str) -> None:
        guid = bytes(16) if words == "no more" else self.world.rng.randbytes(16)
        wish = self._wish.setdefault(leaf, guid)
        message = Unwish(wish) if words == "no more" else Wish(wish, parse([words]))
        self.world.say(leaf, self._parents[leaf], message)

    def _loses(self, leaf: str) -> None:
        self.world.hang_up(leaf, self._parents[leaf], "lost")

    def _leaves(self, leaf: str) -> None:
        self.world.hang_up(leaf, self._parents[leaf], "bye: done")

    def _moves(self, leaf: str, parent: str) -> None:
        self.world.say(leaf, parent, Leave(self.world.puppet(leaf).joins))

    def _part(self, one: str, other: str) -> None:
        self.world.hang_up(one, other, "lost")

    def _kill(self, name: str) -> None:
        self.world.kill(name)

    def _drain(self, name: str) -> None:
        self.world.feed(name, Asked(1, "superpeer.drain", Drain(1.0)))

    def _advance(self, seconds: str) -> None:
        self.world.advance(float(seconds))

    _COMMANDS: ClassVar[dict[str, Callable[..., None]]] = {
        r"superpeers ([\w ]+)(?:, ([\w -]+))?(?:, ([\w= ]+))?": _superpeers,
        r"(\w+) joins (\w+)": _joins,
        r"(\w+) restarts": _restarts,
        r"(\w+) shares all again": _shares_again,
        r"(\w+) shares (.+)": _shares,
        r"(\w+) searches ([^,]+)(?:, (.+))?": _searches,
        r"(\w+) locates (.+)": _locates,
        r"(\w+) wishes (.+)": _wishes,
        r"(\w+) loses its link": _loses,
        r"(\w+) says bye": _leaves,
        r"(\w+) leaves (\w+)": _moves,
        r"(\w+) and (\w+) part": _part,
        r"kill (\w+)": _kill,
        r"drain (\w+)": _drain,
        r"advance ([\d.]+)s": _advance,
    }

    # --- what was said ----------------------------------------------------------------------

    def _told(self, entry: object) -> str:
        if isinstance(entry, tuple) and len(entry) == 3:
            sender, receiver, message = entry
            return f"{sender} -> {receiver}: {self._message(message)}"
        assert isinstance(entry, tuple)
        name, effect = entry
        if isinstance(effect, Notify):
            fields = [self._value(value) for value in effect.fields.values()]
            return f"{name} notes {effect.name} {' '.join(fields)}"
        return f"{name} says {type(effect).__name__}"

    def _message(self, message: Message) -> str:
        return " ".join([type(message).__name__, *self._fields(message)])

    def _fields(self, struct: msgspec.Struct) -> list[str]:
        shown = []
        for field in msgspec.structs.fields(struct):
            value = getattr(struct, field.name)
            if field.name in ("guid", "wish"):
                shown.append(self._guids.setdefault(value, f"g{len(self._guids) + 1}"))
            elif field.name == "signature" and value is not None:
                shown.append("signed")
            elif field.name not in _HIDDEN and value != field.default and value is not None:
                shown.append(f"{field.name}={self._value(value)}")
        return shown

    def _value(self, value: object) -> str:
        match value:
            case bytes():
                return self.world.names.get(value, "?")
            case Contact(node=node):
                return self.world.names[node]
            case Hit(source=source, entry=entry):
                return f"{self.world.names[source.node]}:{entry.name}"
            case Put(slot=slot, entry=entry):
                return f"{slot}:{entry.name}"
            case Terms(words=words):
                return f'"{" ".join(words)}"'
            case Extent():
                return "?"
            case Coverage() | Patch():
                return f"({' '.join(self._fields(value))})"
            case tuple():
                return f"[{' '.join(self._value(item) for item in value)}]"
            case str():
                return self.world.texts.get(value, value)
        return str(value)


def _settings(text: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\w+)", text))


def rewritten(path: Path) -> str:
    """The transcript at `path` as it reads when its commands are run now."""
    transcript = Transcript()
    blocks = []
    for block in path.read_text().strip().split("\n\n"):
        lines = block.splitlines()
        comments = [line for line in lines if line.startswith("#")]
        commands = [line for line in lines[: _end(lines)] if not line.startswith("#")]
        said = transcript.run(commands) if commands else ""
        text = [*comments, *commands, *(["----"] if commands else []), *([said] if said else [])]
        blocks.append("\n".join(text))
    return "\n\n".join(blocks) + "\n"


def _end(lines: list[str]) -> int:
    return lines.index("----") if "----" in lines else len(lines)
