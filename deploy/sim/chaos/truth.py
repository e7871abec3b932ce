"""What is true of a small world, beside what its nodes believe: contents, and who held them when.

Contents are known by root and size. A leaf holds what lies in its share, and what it fetched; that
it once did is never forgotten, because an answer may be older than the last change.
"""

from common.content.merkle import FileTree
from common.names import words
from deploy.sim.hostile.mask import SUPER_PEERS
from deploy.sim.store import Trees

Content = tuple[bytes, int]  # root and size


class Truth:
    """Contents by what names them, and their holders."""

    def __init__(self) -> None:
        self.trees = Trees()
        self.contents: dict[Content, bytes] = {}
        self.held: dict[tuple[int, Content], None] = {}  # ever: host number, content
        self.wanted: dict[tuple[int, Content], None] = {}  # ever: what people of a host asked for
        self.now: dict[int, dict[str, Content]] = {}  # by host: path in the share -> content
        self.named: dict[Content, dict[str, None]] = {}  # ever: every path that it had
        self.hostile: dict[int, str] = {}  # hosts that do harm, and how
        self.rotten: dict[int, None] = {}  # hosts of which a part once did
        self.decayed: dict[int, None] = {}  # hosts whose disk once gave wrong bytes
        self.meddled: dict[int, None] = {}  # hosts where a part was once edited between two lives
        self.clumsy: dict[int, None] = {}  # hosts where for a while anything could fail

    def make(self, data: bytes) -> Content:
        """A content that exists from now on."""
        tree: FileTree = self.trees.of(data)
        content = (tree.root, tree.size)
        self.contents[content] = data
        return content

    def put(self, host: int, path: str, data: bytes) -> Content:
        """A file lies in a share now."""
        content = self.make(data)
        self.now.setdefault(host, {})[path] = content
        self.name(content, path)
        self.held[host, content] = None
        return content

    def name(self, content: Content, path: str) -> None:
        """Somebody calls it so."""
        self.named.setdefault(content, {})[path] = None

    def take(self, host: int, path: str) -> None:
        """It does not any more."""
        self.now.get(host, {}).pop(path, None)

    def fetched(self, host: int, content: Content) -> None:
        """A leaf holds, or will hold, what it asked for."""
        self.wanted[host, content] = None
        self.held[host, content] = None

    def is_content(self, data: bytes, content: Content) -> bool:
        """Whether these bytes are what that content names.

        What a decayed disk shares is a content that nobody made; there the hash decides.
        """
        if content in self.contents:
            return data == self.contents[content]
        tree = self.trees.of(data)
        return (tree.root, tree.size) == content

    def may_share(self, host: int, content: Content) -> bool:
        """Whether a file with it lies there now, or may, because it was fetched."""
        return content in self.now.get(host, {}).values() or (host, content) in self.wanted

    def holders(self, content: Content) -> list[int]:
        """Who has it in a share now."""
        return [host for host, files in self.now.items() if content in files.values()]

    @property
    def lies(self) -> bool:
        """Whether a super-peer does harm: such a one may hide, and forge what nobody proves."""
        return any(kind in SUPER_PEERS for kind in self.hostile.values())

    def words_of(self, path: str) -> tuple[str, ...]:
        """By which words a file is found."""
        return tuple(words(path.rpartition("/")[2]))
