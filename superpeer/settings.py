"""Settings of `superpeer run` that no core sees; the rest: `common.config`, `NodeOptions`."""

import msgspec


class SuperPeerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Each field is a key of the settings file; `join` is a list there."""

    join: tuple[str, ...] = ()
    static: bool = False  # never step down
