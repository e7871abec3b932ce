"""Lists for people: in the order and the number that was asked for."""

from typing import Any

from common.core import Answer, Asked, Effect, Fail
from common.errors import Exit
from superpeer.methods import LeafRow, Listing, NeighbourRow


def listed(event: Asked, rows: list[LeafRow] | list[NeighbourRow]) -> Effect:
    """The rows in the order that was asked for, what is unknown last."""
    asked = event.params if isinstance(event.params, Listing) else Listing()
    if rows and asked.sort not in rows[0].__struct_fields__:
        keys = ", ".join(rows[0].__struct_fields__)
        return Fail(event.call, Exit.USAGE, f"cannot sort by {asked.sort!r}", f"use one of: {keys}")

    def place(row: LeafRow | NeighbourRow) -> tuple[bool, Any]:
        value = getattr(row, asked.sort)
        return (True, 0) if value is None else (False, value)

    return Answer(event.call, sorted(rows, key=place)[: asked.limit])
