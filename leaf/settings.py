"""Settings of `leaf run` that no core sees; the others are `common.config` and `NodeOptions`."""

import msgspec

from common.shell.desk.settings import Rate


class LeafOptions(msgspec.Struct, frozen=True, kw_only=True, rename={"supers": "super"}):
    """Each field is a key of the settings file; `super` and `share` are lists there."""

    supers: tuple[str, ...] = ()
    share: tuple[str, ...] = ()
    downloads: str = ""  # a folder; empty: the home's
    up: Rate | None = None  # bytes/s of content that may go out; 0: no cap; None: as was set last
    down: Rate | None = None
    promote: bool = True
    http: str = ""  # HOST:PORT where shared files are served over plain HTTP; empty: nowhere
