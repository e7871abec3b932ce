"""What the rows of the store mean: tuples of SQLite as the records that cores know."""

from typing import Any

import msgspec

from common.addresses import Address
from common.ids import NodeId
from common.schedule import LimitsRecord
from common.storage import DownloadRecord, FolderRecord, GivingRecord, WishRecord


def downloads(rows: list[tuple[Any, ...]]) -> tuple[DownloadRecord, ...]:
    """All downloads."""
    return tuple(msgspec.json.decode(record, type=DownloadRecord) for (record,) in rows)


def wishes(rows: list[tuple[Any, ...]]) -> tuple[WishRecord, ...]:
    """All standing searches."""
    return tuple(msgspec.json.decode(record, type=WishRecord) for (record,) in rows)


def fetched_folders(rows: list[tuple[Any, ...]]) -> tuple[FolderRecord, ...]:
    """All folders that are fetched as one."""
    return tuple(msgspec.json.decode(record, type=FolderRecord) for (record,) in rows)


def limits(rows: list[tuple[Any, ...]]) -> LimitsRecord | None:
    """The limits that were set, if any were."""
    for (record,) in rows:
        return msgspec.json.decode(record, type=LimitsRecord)
    return None


def giving(rows: list[tuple[Any, ...]]) -> tuple[GivingRecord, ...]:
    """What leaves gave and had."""
    return tuple(GivingRecord(*row) for row in rows)


def line(rows: list[tuple[Any, ...]]) -> tuple[tuple[NodeId, float], ...]:
    """Who waited for a slot, and how long."""
    return tuple((node, waited_s) for node, waited_s in rows)


def super_peers(rows: list[tuple[Any, ...]]) -> tuple[tuple[NodeId, Address], ...]:
    """Super-peers that worked."""
    return tuple((node, Address(ip, port)) for node, ip, port in rows)
