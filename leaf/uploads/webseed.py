"""Serving over plain HTTP: which bytes of what a request for `/f/ROOT/NAME` gets.

ROOT is the hex of a file's BEP 52 root, and all that counts; whatever follows is for the reader's
own file name. Only whole files are served. `/t/ROOT` gets the piece layer of the same file, by
which another leaf proves what it gets from here. What goes out counts for the cap like all content,
and each answer waits its turn there. Invariant: a request gets the bytes that the disk
has just read from the file with that root, or its connection is broken; each holds at most one
span of them. The door bounds how many there are, so readers here take no room from leaves. Who
reads is not known, so nothing is owed or counted.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from common.content.merkle import HASH_BYTES, piece_count
from common.core import Effect, Event, Woke
from common.deadlines import soonest
from common.storage import BytesRead, ReadFailed, ReadLayer, ReadPart, ReadShared, SharedFile
from common.web.http import Choice, Request, choose
from common.web.web import SPAN_BYTES_MAX, WebAsked, WebBody, WebBreak, WebHead, WebLeft, WebTaken
from leaf.links.caps import Cap, Gate
from leaf.swarm.download import Download
from leaf.uploads.stock import Stock

_PATH: Final = re.compile(r"/(?:f/([0-9A-Fa-f]{64})(?:/.*)?|t/([0-9A-Fa-f]{64}))")
_FAILED: Final = {
    "changed": (404, "This file has changed on the disk here and is not shared until it is read."),
    "gone": (404, "This file is not on the disk here any more."),
}
_DISK: Final = (503, "The disk here cannot be read now.")


@dataclass(slots=True)
class _Answer:
    """What one request still gets: the bytes of a file from `at` to `end`."""

    root: bytes
    size: int
    at: int
    end: int
    gate: Gate
    head: WebHead | None  # waits for the first bytes: a file that has changed is none


class WebSeed:
    """Everybody who reads over HTTP."""

    __slots__ = ("_answers", "_cap", "_last_read", "_reads", "_stock")

    def __init__(self, stock: Stock, cap: Cap) -> None:
        self._stock = stock
        self._cap = cap
        self._answers: dict[int, _Answer] = {}
        self._reads: dict[int, int] = {}  # read -> request
        self._last_read = 0  # counted downwards: upwards others count

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """When the cap lets somebody have more; else the door keeps the time."""
        return soonest([answer.gate.opens_at for answer in self._answers.values()])

    def _asked(self, event: WebAsked, now: float) -> list[Effect]:
        request = event.head
        if request.method not in ("GET", "HEAD"):
            sentence = "Files can only be read here, with GET or HEAD."
            return [_sentence(event.request, request, 405, sentence, ("Allow", "GET, HEAD"))]
        match = _PATH.fullmatch(request.path)
        root = bytes.fromhex(match[1] or match[2]) if match else b""
        held = self._stock.whole(root)
        if held is None:
            sentence = "Nothing is shared here under this address: it is /f/ROOT/NAME."
            return [_sentence(event.request, request, 404, sentence)]
        size = _size_of(held)
        if match is not None and match[2]:
            return self._begin_layer(event.request, request, root, size)
        return self._begin(event.request, request, root, size, now)

    def _begin_layer(self, number: int, request: Request, root: bytes, size: int) -> list[Effect]:
        """It is sent in one go, so only where it is small: that of a file up to 8 GiB is."""
        length = piece_count(size) * HASH_BYTES
        if not 0 < length <= SPAN_BYTES_MAX or request.method != "GET":
            sentence = "The piece layer of this file is not served here."
            return [_sentence(number, request, 404, sentence)]
        head = WebHead(number, 200, _fields(Choice(200, 0, length), size, f'"{root.hex()}-layer"'))
        self._answers[number] = _Answer(root, size, 0, length, Gate(self._cap), head)
        self._last_read -= 1
        self._reads[self._last_read] = number
        return [ReadLayer(self._last_read, root, size)]

    def _begin(
        self, number: int, request: Request, root: bytes, size: int, now: float
    ) -> list[Effect]:
        etag = f'"{root.hex()}"'
        choice = choose(request, size, etag)
        if choice.status == 416:
            content_range = ("Content-Range", f"bytes */{size}")
            sentence = "This file ends before that range."
            return [_sentence(number, request, 416, sentence, content_range)]
        if choice.status == 412:
            return [_sentence(number, request, 412, "This file has another tag.")]
        head = WebHead(number, choice.status, _fields(choice, size, etag))
        if request.method == "HEAD" or not choice.length:
            return [_final(head)]
        end = choice.offset + choice.length
        gate = Gate(self._cap)
        self._answers[number] = _Answer(root, size, choice.offset, end, gate, head)
        return self._read(number, now)

    def _read(self, number: int, now: float) -> list[Effect]:
        """The next span, once the cap lets it; what was taken back meanwhile is not sent on."""
        answer = self._answers[number]
        held = self._stock.whole(answer.root)
        if held is None or _size_of(held) != answer.size:
            return self._broken(number, *_FAILED["gone"])
        length = min(answer.end - answer.at, SPAN_BYTES_MAX)
        length = min(length, answer.gate.grain_bytes or length)
        if not answer.gate.may_pass(length, now):
            return []
        self._last_read -= 1
        self._reads[self._last_read] = number
        if isinstance(held, SharedFile):
            return [ReadShared(self._last_read, held, answer.at, length)]
        return [ReadPart(self._last_read, held.record.number, answer.at, length)]

    def _bytes_read(self, event: BytesRead, _now: float) -> list[Effect]:
        number = self._reads.pop(event.read)
        answer = self._answers.get(number)
        if answer is None:
            return []
        effects: list[Effect] = [answer.head] if answer.head is not None else []
        answer.head = None
        answer.at += len(event.data)
        final = answer.at >= answer.end
        if final:
            del self._answers[number]
        return [*effects, WebBody(number, event.data, final)]

    def _read_failed(self, event: ReadFailed, _now: float) -> list[Effect]:
        number = self._reads.pop(event.read)
        if number not in self._answers:
            return []
        return self._broken(number, *_FAILED.get(event.kind, _DISK))

    def _broken(self, number: int, status: int, sentence: str) -> list[Effect]:
        """Say why, while there is still a word to say; else break off."""
        answer = self._answers.pop(number)
        answer.gate.leave()
        if answer.head is None:
            return [WebBreak(number)]
        return [_sentence(number, None, status, sentence)]

    def _taken(self, event: WebTaken, now: float) -> list[Effect]:
        return self._read(event.request, now) if event.request in self._answers else []

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        due = [number for number, answer in self._answers.items() if answer.gate.opened(now)]
        return [effect for number in due for effect in self._read(number, now)]

    def _left(self, event: WebLeft, _now: float) -> list[Effect]:
        answer = self._answers.pop(event.request, None)
        if answer is not None:
            answer.gate.leave()
        return []

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        WebAsked: _asked,
        WebTaken: _taken,
        WebLeft: _left,
        Woke: _woke,
        BytesRead: _bytes_read,
        ReadFailed: _read_failed,
    }


def _size_of(held: SharedFile | Download) -> int:
    return held.size if isinstance(held, SharedFile) else held.record.size


def _fields(choice: Choice, size: int, etag: str) -> tuple[tuple[str, str], ...]:
    """A browser is to keep what comes and not to guess what it is."""
    fields = [("ETag", etag), ("Accept-Ranges", "bytes")]
    if choice.status == 304:
        return tuple(fields)
    if choice.status == 206:
        last = choice.offset + choice.length - 1
        fields.append(("Content-Range", f"bytes {choice.offset}-{last}/{size}"))
    fields += [
        ("Content-Length", str(choice.length)),
        ("Content-Type", "application/octet-stream"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    return tuple(fields)


def _final(head: WebHead) -> WebHead:
    return WebHead(head.request, head.status, head.fields, final=True)


def _sentence(
    number: int, request: Request | None, status: int, sentence: str, *more: tuple[str, str]
) -> WebHead:
    """An answer that is one sentence; to HEAD only how long it would be."""
    content = f"{sentence}\n".encode()
    fields = (
        *more,
        ("Content-Length", str(len(content))),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("X-Content-Type-Options", "nosniff"),
    )
    silent = request is not None and request.method == "HEAD"
    return WebHead(number, status, fields, b"" if silent else content, final=True)
