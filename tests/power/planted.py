"""The planted bugs of `planted.toml`, read and checked; their form is described at its top.

A bug whose text does not stand exactly once in its file is an error that names it: a list that
silently lost a bug would count it as found, or as none. What the list covers stands in it as well.
"""

import tomllib
from pathlib import Path
from typing import Final

import msgspec

from tests.power.mutants import Edit, Mutant

LIST: Final = Path(__file__).with_name("planted.toml")


class PlantedError(ValueError):
    """The list does not fit the source; the text is one sentence."""


class Bug(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the list."""

    name: str
    file: str
    find: str
    replace: str
    breaks: tuple[str, ...]
    under: tuple[str, ...]
    wrong: str

    def mutant(self, root: Path) -> Mutant:
        """The change in the tree below `root`; PlantedError where its text is not there once."""
        source, find = (root / self.file).read_bytes(), self.find.encode()
        count = source.count(find)
        if count != 1:
            raise PlantedError(f"{self.name}: its text stands {count} times in {self.file}")
        begin = source.index(find)
        edit = Edit(begin, begin + len(find), self.replace.encode())
        return Mutant(self.name, self.file, (edit,), self.wrong, self.breaks)


class Applies(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of THREATS.md can be broken by now."""

    invariants: tuple[int, ...]
    faults: tuple[str, ...]


class LeftOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What cannot, and why."""

    invariants: dict[str, str]
    faults: dict[str, str]


class Planted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole list."""

    applies: Applies
    left_out: LeftOut
    bug: tuple[Bug, ...]

    def mutants(self, root: Path, only: tuple[str, ...] = ()) -> list[Mutant]:
        """The bugs as changes of the tree below `root`; PlantedError for a name that is not one."""
        names = [bug.name for bug in self.bug]
        for name in only:
            if name not in names:
                raise PlantedError(f"{name}: there is no such planted bug")
        return [bug.mutant(root) for bug in self.bug if not only or bug.name in only]

    def uncovered(self) -> list[str]:
        """Invariants and faults that apply and that no bug is about."""
        broken = {what for bug in self.bug for what in bug.breaks}
        shown = {what for bug in self.bug for what in bug.under}
        invariants = [str(each) for each in self.applies.invariants if str(each) not in broken]
        return invariants + [each for each in self.applies.faults if each not in shown]


def load(path: Path = LIST) -> Planted:
    """The list; PlantedError where it is not one."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Planted)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise PlantedError(f"{path.name}: {error}") from error
