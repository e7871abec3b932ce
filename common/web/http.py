"""HTTP/1.1 as values: the head of a request (RFC 9112), and what of a file it is to get (RFC 9110).

`parse` is the border: what leaves it is a `Request`, or `BadRequestError` with a status and one
sentence. `choose` decides between the whole, one range, nothing new and no such range, for a
file whose entity tag names its content for good. Nothing is read or sent here.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

HEAD_BYTES_MAX: Final = 8 * 1024  # Apache and nginx allow as much
FIELDS_MAX: Final = 100  # Apache

STATUSES: Final = {
    200: "OK",
    206: "Partial Content",
    304: "Not Modified",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    412: "Precondition Failed",
    416: "Range Not Satisfiable",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

Fields = tuple[tuple[str, str], ...]

_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/([0-9])\.([0-9])")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n]*)?")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)  # a server takes this form too
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,19})-([0-9]{0,19})[ \t]*", re.IGNORECASE)


class BadRequestError(Exception):
    """What came is no request that is answered; `status` and one sentence say why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Request(msgspec.Struct, frozen=True):
    """The head of one request; names of `fields` in lower case, several of one name joined."""

    method: str
    path: str  # as it was sent, without a query
    fields: dict[str, str] = {}
    keep_alive: bool = True


class Choice(msgspec.Struct, frozen=True):
    """What of a file is sent: with 200 and 206 `length` bytes from `offset` on, else none."""

    status: int
    offset: int = 0
    length: int = 0


def parse(head: bytes) -> Request:
    """Read everything up to and with the empty line. Raises BadRequestError."""
    lines = head.decode("latin-1").removesuffix("\r\n\r\n").lstrip("\r\n").split("\r\n")
    match = _LINE.fullmatch(lines[0])
    if match is None:
        raise BadRequestError(400, "This is no request of HTTP/1.1.")
    method, target, major, minor = match.groups()
    if major != "1":
        raise BadRequestError(505, "Only HTTP/1.1 is spoken here.")
    fields = _fields(lines[1:])
    if minor != "0" and "host" not in fields:
        raise BadRequestError(400, "A request names its host once.")
    path = _ABSOLUTE.sub("", target, count=1) or "/"
    if not path.startswith("/"):
        raise BadRequestError(400, "A request names the path of a file.")
    path = path.partition("#")[0].partition("?")[0]
    options = [each.strip().lower() for each in fields.get("connection", "").split(",")]
    keep_alive = "keep-alive" in options if minor == "0" else "close" not in options
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        keep_alive = False  # what it has besides its head is never read
    return Request(method, path, fields, keep_alive)


def _fields(lines: list[str]) -> dict[str, str]:
    if len(lines) > FIELDS_MAX:
        raise BadRequestError(431, f"More than {FIELDS_MAX} fields are not read.")
    fields: dict[str, str] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)  # a folded line is none either
        if match is None:
            raise BadRequestError(400, "A line of this request is no field.")
        name, value = match[1].lower(), match[2]
        if name in ("host", "content-length") and name in fields:
            raise BadRequestError(400, f"A request has one field {name}.")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


class Answer(msgspec.Struct, frozen=True):
    """The head of an answer; names of `fields` in lower case, the last of one name counts."""

    status: int
    fields: dict[str, str] = {}
    keep_alive: bool = True

    @property
    def length(self) -> int | None:
        """How many bytes follow; None where that is not said in a form that we read."""
        said = self.fields.get("content-length", "")
        plain = "transfer-encoding" not in self.fields and "content-encoding" not in self.fields
        return int(said) if plain and said.isascii() and said.isdigit() and len(said) < 20 else None

    def is_range(self, offset: int, length: int, size: int) -> bool:
        """Whether these very bytes of a file of `size` bytes follow."""
        if self.length != length:
            return False
        if self.status == 200:
            return (offset, length) == (0, size)
        said = self.fields.get("content-range", "").lower()
        return self.status == 206 and said == f"bytes {offset}-{offset + length - 1}/{size}"


def parse_answer(head: bytes) -> Answer:
    """Read the head of an answer. Raises BadRequestError with what is wrong with it."""
    lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    match = _STATUS.fullmatch(lines[0])
    if match is None or len(lines) - 1 > FIELDS_MAX:
        raise BadRequestError(400, "This is no answer of HTTP/1.1.")
    fields = {}
    for line in lines[1:]:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise BadRequestError(400, "A line of this answer is no field.")
        fields[field[1].lower()] = field[2]
    options = fields.get("connection", "").lower()
    keep_alive = "keep-alive" in options if match[1] == "0" else "close" not in options
    return Answer(int(match[2]), fields, keep_alive)


def choose(request: Request, size: int, etag: str) -> Choice:
    """What to send of a file of `size` bytes for a GET or HEAD; `etag` with its quotes, strong.

    Only single ranges are known, and only of GET: to anything else the whole is the answer, as RFC
    9110 (14.2) allows. A validator that is a date is never ours.
    """
    fields = request.fields
    if "if-match" in fields and not _names(fields["if-match"], etag, weak=False):
        return Choice(412)
    if "if-none-match" in fields and _names(fields["if-none-match"], etag, weak=True):
        return Choice(304)
    match = _RANGE.fullmatch(fields.get("range", ""))
    if request.method != "GET" or match is None or fields.get("if-range", etag) != etag:
        return Choice(200, 0, size)
    first, last = match.groups()
    if not first and not last:
        return Choice(200, 0, size)
    if not first:
        begin, end = max(size - int(last), 0), size
    else:
        begin, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < begin:  # no range at all
            return Choice(200, 0, size)
    return Choice(206, begin, end - begin) if begin < end else Choice(416)


def head_of(status: int, fields: Iterable[tuple[str, str]]) -> bytes:
    """The head of an answer, with the empty line behind it."""
    lines = [
        f"HTTP/1.1 {status} {STATUSES[status]}",
        *[f"{name}: {value}" for name, value in fields],
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _names(listed: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags has ours, or is the `*` that means any."""
    tags = [each.strip() for each in listed.split(",")]
    return "*" in tags or etag in tags or (weak and f"W/{etag}" in tags)
