"""Memory that was freed is kept for the next one who wants it, instead of given to the system.

A leaf takes and frees a megabyte for each request that it serves or gets. glibc would map and
unmap each of them, and the kernel clear each page again: 120,000 page faults for a gibibyte sent,
15,000 with this. What is kept is bounded; systems with another allocator are left as they are.
"""

import ctypes
from typing import Final

KEPT_BYTES: Final = 32 * 1024 * 1024  # at the end of a heap: all that uploads may have under way
MAPPED_BYTES: Final = 4 * 1024 * 1024  # what is larger is mapped, and given back at once

_TRIM_THRESHOLD: Final = -1  # <malloc.h>
_MMAP_THRESHOLD: Final = -3


def keep_freed_memory() -> bool:
    """From now on, in this process; whether its allocator knows how."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, MAPPED_BYTES) and mallopt(_TRIM_THRESHOLD, KEPT_BYTES))
