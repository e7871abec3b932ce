"""The memory that this process holds now."""

import os
import resource
import sys


def rss_bytes() -> int:
    """Resident memory; its peak where the system tells only that. 10 us."""
    try:
        statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        try:
            pages = int(os.read(statm, 256).split()[1])
        finally:
            os.close(statm)
        return pages * os.sysconf("SC_PAGESIZE")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
