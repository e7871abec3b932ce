"""The probes that a run of a million events must have reached."""

from typing import Final

REQUIRED: Final[tuple[str, ...]] = ()
