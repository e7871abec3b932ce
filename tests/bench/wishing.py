"""What standing searches cost a super-peer's core: one JSON line for each number of wishes.

    python -m tests.bench.wishing [--files 1000] [--seed 1]

Files have eight words by Zipf's law and a folder; a wish has one word of theirs and one that is
rare. `publish_ms`: holding the files of one leaf against all wishes, the dearest first thing that a
publish causes; `digest_ms`: a neighbour's digest in which every word stands at once; `wish_us`: one
more wish. The last line has all wishes on one word that every file has, none of them the same.
"""

import argparse
import bisect
import itertools
import json
import time
from random import Random
from typing import Final

from pyroaring import BitMap

from common.config import WishConfig
from common.content.catalogue import Entry
from common.digest import place_of_word
from common.limits import DIGEST_BITS_MAX
from common.messages.cluster import Wish
from common.terms import parse
from superpeer.search.wishes import Wishes

WORDS: Final = 20_000
BITS: Final = 20
COMMON: Final = 200  # of the words, which nobody calls rare


class Names:
    """Words by Zipf's law."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.words = [f"word{number}" for number in range(WORDS)]
        self._sums = list(itertools.accumulate(1 / (number + 1) for number in range(WORDS)))

    def word(self) -> str:
        """One as names have it."""
        return self.words[bisect.bisect(self._sums, self._rng.random() * self._sums[-1])]

    def rare(self) -> str:
        """One that few names have."""
        return self.words[self._rng.randrange(COMMON, WORDS)]


def measured(wishes: list[str], files: list[Entry], names: Names, rng: Random) -> dict[str, float]:
    """What these wishes cost, the best of five where it can be done again."""
    core = Wishes(config=WishConfig(), rng=rng, is_leaf=lambda _peer: True)
    began = time.perf_counter()
    for number, text in enumerate(wishes):
        leaf = (number // 32).to_bytes(32, "big")
        core.on_wish(leaf, Wish(rng.randbytes(16), parse([text])), 0.0)
    added_s = time.perf_counter() - began
    publish_s, found = float("inf"), 0
    for _ in range(5):
        began = time.perf_counter()
        found = sum(len(core.wanting(entry)[0]) for entry in files)
        publish_s = min(publish_s, time.perf_counter() - began)
    cut = DIGEST_BITS_MAX - BITS
    full = BitMap([place_of_word(word) >> cut for word in names.words])
    began = time.perf_counter()
    core.digest_changed((BITS, BitMap()), (BITS, full), 1.0)
    return {
        "wishes": len(wishes),
        "publish_ms": round(1000 * publish_s, 2),
        "found": found,
        "digest_ms": round(1000 * (time.perf_counter() - began), 2),
        "wish_us": round(1e6 * added_s / max(len(wishes), 1), 1),
    }


def main() -> None:
    """Print a line for no wish, one a leaf, 32 a leaf, and 32 a leaf that mean harm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = Random(asked.seed)
    names = Names(rng)
    files = [
        Entry(
            rng.randbytes(32), 1, " ".join(names.word() for _ in range(8)) + ".mp3", "some/folder"
        )
        for _ in range(asked.files)
    ]
    for count in (0, 100, 3200):
        wishes = [f"{names.rare()} {names.word()}" for _ in range(count)]
        print(json.dumps({"kind": "common", **measured(wishes, files, names, rng)}))
    harm = [f"mp3 -absent{number}" for number in range(3200)]
    print(json.dumps({"kind": "harm", **measured(harm, files, names, rng)}))


if __name__ == "__main__":
    main()
