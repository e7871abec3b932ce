"""From the beginning of a word to the words that begin so: a burst trie.

Words lie in short lists without order. A list that grows too long bursts into one for each next
character (burst tries: Heinz, Zobel and Williams 2002), so finding, adding and removing a word
looks at one list and at no more characters than a word has. What words stand for is kept elsewhere.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final, TypeAlias

LIST_WORDS_MAX: Final = 128

_Node: TypeAlias = "list[str] | dict[str, _Node]"


class Prefixes:
    """A set of words."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root: dict[str, _Node] = {}

    def add(self, word: str) -> None:
        """Put in a word that is not there."""
        node, depth = self._root, 1
        below = node.get(word[:1])
        while isinstance(below, dict):
            node, depth = below, depth + 1
            below = node.get(word[depth - 1 : depth])  # '' where the word ends here
        if below is None:
            node[word[depth - 1 : depth]] = [word]
            return
        below.append(word)
        if len(below) > LIST_WORDS_MAX:
            node[word[depth - 1 : depth]] = _burst(below, depth)

    def discard(self, word: str) -> None:
        """Undo an `add` of the same word; what has burst stays so until it is empty."""
        path: list[tuple[dict[str, _Node], str]] = []
        below: _Node = self._root
        while isinstance(below, dict):
            char = word[len(path) : len(path) + 1]
            path.append((below, char))
            below = below[char]
        below.remove(word)
        while path and not below:
            below, char = path.pop()
            del below[char]

    def find(self, prefix: str, count: int) -> list[str]:
        """At most `count` of the words that begin with `prefix`, which is not empty."""
        node: _Node = self._root
        depth = 0
        while isinstance(node, dict) and depth < len(prefix):
            node = node.get(prefix[depth], [])
            depth += 1
        return list(islice(_words(node, prefix), count))


def _burst(words: list[str], depth: int) -> dict[str, _Node]:
    """The same words, by the character at `depth`; a list that is too long again waits for its
    next word."""
    node: dict[str, _Node] = {}
    for word in words:
        below = node.setdefault(word[depth : depth + 1], [])
        if isinstance(below, list):
            below.append(word)
    return node


def _words(node: _Node, prefix: str) -> Iterator[str]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting.extend(node.values())
        else:
            yield from [word for word in node if word.startswith(prefix)]
