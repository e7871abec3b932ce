"""Heads of HTTP requests, and what of a file they get."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.web.http import (
    FIELDS_MAX,
    Answer,
    BadRequestError,
    Choice,
    Request,
    choose,
    head_of,
    parse,
    parse_answer,
)

TAG = '"abc"'


def head(*lines: str) -> bytes:
    """A head of these lines."""
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def asked(method: str = "GET", **fields: str) -> Request:
    """A request with these fields."""
    return Request(method, "/", {name.replace("_", "-"): value for name, value in fields.items()})


def test_a_request_is_its_method_path_and_fields() -> None:
    """Names of fields in lower case, several of one name joined, the query gone."""
    text = head("GET /f/ab/x?a=1 HTTP/1.1", "Host: a", "Range:  bytes=0-1 ", "X: 1", "x: 2")
    fields = {"host": "a", "range": "bytes=0-1", "x": "1, 2"}
    assert parse(text) == Request("GET", "/f/ab/x", fields, keep_alive=True)
    assert parse(b"\r\n" + head("GET http://a:1/b#c HTTP/1.1", "Host: a")).path == "/b"
    assert parse(head("GET http://a HTTP/1.1", "Host: a")).path == "/"


@pytest.mark.parametrize(
    ("lines", "keeps"),
    [
        (("GET / HTTP/1.1", "Host: a"), True),
        (("GET / HTTP/1.1", "Host: a", "Connection: Close"), False),
        (("GET / HTTP/1.1", "Host: a", "Connection: te, close"), False),
        (("GET / HTTP/1.0",), False),
        (("GET / HTTP/1.0", "Connection: keep-alive"), True),
        (("POST / HTTP/1.1", "Host: a", "Content-Length: 5"), False),
        (("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: x"), False),
        (("GET / HTTP/1.1", "Host: a", "Content-Length: 0"), True),
    ],
)
def test_when_another_request_may_follow(lines: tuple[str, ...], keeps: bool) -> None:
    """Never behind content that is not read: it could be taken for a request."""
    assert parse(head(*lines)).keep_alive is keeps


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("",), 400),
        (("GET /",), 400),
        (("GET / HTTP/1.1",), 400),
        (("GET / HTTP/1.1", "Host: a", "Host: b"), 400),
        (("GET / HTTP/1.1", "Host: a", "Content-Length: 1", "Content-Length: 2"), 400),
        (("GET  / HTTP/1.1", "Host: a"), 400),
        (("GET /a b HTTP/1.1", "Host: a"), 400),
        (("GET * HTTP/1.1", "Host: a"), 400),
        (("GET / HTTP/1.1", "Host : a"), 400),
        (("GET / HTTP/1.1", "Host: a", " folded"), 400),
        (("GET / HTTP/1.1", "Host: a\nb"), 400),
        (("GET / HTTP/2.0", "Host: a"), 505),
        (("GET / HTTP/1.1", *["a: b"] * (FIELDS_MAX + 1)), 431),
        (("\x16\x03\x01",), 400),
    ],
)
def test_what_is_no_request(lines: tuple[str, ...], status: int) -> None:
    """A status and one sentence."""
    with pytest.raises(BadRequestError) as caught:
        parse(head(*lines))
    assert caught.value.status == status
    assert caught.value.reason.endswith(".")


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    """Only BadRequestError leaves the border."""
    for text in (data, b"GET / HTTP/1.1\r\nHost: a\r\n" + data, b"GET /" + data + b" HTTP/1.0"):
        try:
            parse(text)
        except BadRequestError:
            continue


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("bytes=0-0", Choice(206, 0, 1)),
        ("bytes=5-", Choice(206, 5, 5)),
        ("bytes=5-99", Choice(206, 5, 5)),
        ("Bytes=-3", Choice(206, 7, 3)),
        ("bytes=-99", Choice(206, 0, 10)),
        ("bytes=10-", Choice(416)),
        ("bytes=-0", Choice(416)),
        ("bytes=9999999999999999999-", Choice(416)),
        ("bytes=5-4", Choice(200, 0, 10)),
        ("bytes=-", Choice(200, 0, 10)),
        ("bytes=0-1,3-4", Choice(200, 0, 10)),
        ("bytes=a-b", Choice(200, 0, 10)),
        ("lines=0-1", Choice(200, 0, 10)),
        ("bytes=99999999999999999999999-", Choice(200, 0, 10)),
    ],
)
def test_ranges(text: str, choice: Choice) -> None:
    """Of ten bytes; what is no single range gets the whole, what is beyond the end nothing."""
    assert choose(asked(range=text), 10, TAG) == choice


def test_only_get_has_ranges() -> None:
    """RFC 9110, 14.2; and an empty file has none that could be met."""
    assert choose(asked("HEAD", range="bytes=0-1"), 10, TAG) == Choice(200, 0, 10)
    assert choose(asked(range="bytes=0-"), 0, TAG) == Choice(416)
    assert choose(asked(), 0, TAG) == Choice(200, 0, 0)


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({"range": "bytes=1-", "if_range": TAG}, Choice(206, 1, 9)),
        ({"range": "bytes=1-", "if_range": '"other"'}, Choice(200, 0, 10)),
        ({"range": "bytes=1-", "if_range": f"W/{TAG}"}, Choice(200, 0, 10)),
        ({"range": "bytes=1-", "if_range": "Thu, 01 Jan 1970 00:00:00 GMT"}, Choice(200, 0, 10)),
        ({"if_none_match": TAG}, Choice(304)),
        ({"if_none_match": f'"x", W/{TAG}'}, Choice(304)),
        ({"if_none_match": "*"}, Choice(304)),
        ({"if_none_match": '"x"'}, Choice(200, 0, 10)),
        ({"if_match": TAG}, Choice(200, 0, 10)),
        ({"if_match": f"W/{TAG}"}, Choice(412)),
        ({"if_match": '"x"', "if_none_match": TAG}, Choice(412)),
        ({"if_modified_since": "Thu, 01 Jan 1970 00:00:00 GMT"}, Choice(200, 0, 10)),
    ],
)
def test_conditions(fields: dict[str, str], choice: Choice) -> None:
    """A content has one tag for good, so a reader that has it need not read it again."""
    assert choose(asked(**fields), 10, TAG) == choice


@given(st.text(max_size=40), st.integers(0, 2**40), st.sampled_from(["GET", "HEAD"]))
def test_a_choice_lies_inside_the_file(text: str, size: int, method: str) -> None:
    """Whatever is asked for."""
    choice = choose(asked(method, range=text), size, TAG)
    assert 0 <= choice.offset <= choice.offset + choice.length <= size
    assert choice.length or choice.status != 206


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 100))
def test_a_range_is_what_a_slice_is(first: int, length: int, size: int) -> None:
    """From the first to the last byte, the last one included."""
    data = bytes(range(size))
    choice = choose(asked(range=f"bytes={first}-{first + length}"), size, TAG)
    got = data[choice.offset : choice.offset + choice.length]
    assert got == data[first : first + length + 1]
    assert choice.status == (206 if first < size else 416)


def answer(*lines: str) -> Answer:
    """The answer with these lines."""
    return parse_answer(head(*lines))


def test_an_answer_is_its_status_and_fields() -> None:
    """And whether another request may follow."""
    parsed = answer(
        "HTTP/1.1 206 Partial", "Content-Length: 5", "A: b", "Content-Range: Bytes 2-6/9"
    )
    assert (parsed.status, parsed.length, parsed.keep_alive) == (206, 5, True)
    assert parsed.is_range(2, 5, 9)
    assert not any(parsed.is_range(*other) for other in ((2, 5, 8), (2, 4, 9), (1, 5, 9)))
    assert answer("HTTP/1.1 200 OK", "Content-Length: 9").is_range(0, 9, 9)
    assert not answer("HTTP/1.1 200 OK", "Content-Length: 9").is_range(0, 9, 10)
    assert not answer("HTTP/1.1 404 Not Found", "Content-Length: 9").is_range(0, 9, 9)
    assert not answer("HTTP/1.0 200").keep_alive
    assert not answer("HTTP/1.1 200 OK", "Connection: close").keep_alive


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: x",),
        ("Content-Length: -1",),
        ("Content-Length: " + "9" * 30,),
        ("Content-Length: 5", "Content-Encoding: gzip"),
        ("Content-Length: 5", "Transfer-Encoding: gzip"),
        (),
    ],
)
def test_answers_of_unknown_length(lines: tuple[str, ...]) -> None:
    """They are of no use: bytes of a file come plainly and counted."""
    assert answer("HTTP/1.1 200 OK", *lines).length is None


@given(st.binary(max_size=300))
def test_random_answers_raise_nothing_else(data: bytes) -> None:
    """Servers send what they like."""
    for text in (data, b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n"):
        try:
            parsed = parse_answer(text)
        except BadRequestError:
            continue
        parsed.is_range(0, 1, 1)


def test_a_head_looks_as_documented() -> None:
    """A line, the fields, an empty line."""
    assert head_of(206, [("A", "b"), ("C", "d")]) == (
        b"HTTP/1.1 206 Partial Content\r\nA: b\r\nC: d\r\n\r\n"
    )
