"""A shared file by its names: its path here, its entry for the network, its row for people."""

from common.addresses import Address
from common.content.catalogue import Entry
from common.content.torrent import file_id, magnet
from common.ids import NodeId, node_text
from common.names import safe_folder, safe_name
from common.storage import SharedFile
from leaf.methods import SharedRow


def path_of(file: SharedFile) -> str:
    """The absolute path of a shared file; a share that is a file is that path itself."""
    return file.share if file.lone else f"{file.share.rstrip('/')}/{file.relpath}"


def entry_of(file: SharedFile) -> Entry:
    """How a shared file is published: sanitised, with its folder inside the share."""
    folder, _, name = file.relpath.rpartition("/")
    modified_s = max(file.mtime_ns // 10**9, 0)
    return Entry(file.root, file.size, safe_name(name), safe_folder(folder), modified_s)


def row_of(file: SharedFile, supers: tuple[str, ...]) -> SharedRow:
    """How people see it, with the super-peers that its link names."""
    name = entry_of(file).name
    link = magnet(name, file.root, file.size, supers)
    return SharedRow(path_of(file), name, file.size, file_id(file.root, file.size), link)


def super_text(address: Address, node: NodeId) -> str:
    """A super-peer as links name it."""
    return f"{address}/{node_text(node)}"
