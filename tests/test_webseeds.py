"""URLs of web servers that a person gives."""

import pytest

from common.content.webseeds import URL_CHARS_MAX, URLS_MAX, as_seed, web_seeds


def test_a_folder_gets_the_name_of_the_file() -> None:
    """Escaped; other URLs stay as they are, and each is there once."""
    given = ["http://a/b/", "https://a:8/f?x=1", "http://[::1]:8/f", "https://a:8/f?x=1"]
    assert web_seeds(given, "Ä b.bin") == (
        "http://a/b/%C3%84%20b.bin",
        "https://a:8/f?x=1",
        "http://[::1]:8/f",
    )


def test_torrents_tell_of_the_folder() -> None:
    """What a program adds to it is the name again; a file of another name is told of itself."""
    (url,) = web_seeds(["http://a/b/"], "Ä b.bin")
    assert as_seed(url, "Ä b.bin") == "http://a/b/"
    assert as_seed("http://a/get?of=/b.bin", "b.bin") == "http://a/get?of=/b.bin"
    assert web_seeds(["http://a/get?of=/"], "b.bin") == ("http://a/get?of=/",)
    assert as_seed("http://a/xb.bin", "b.bin") == "http://a/xb.bin"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "begin with http"),
        ("ftp://a/b", "begin with http"),
        ("file:///etc/passwd", "begin with http"),
        ("a/b", "begin with http"),
        ("http:///b", "begin with http"),
        ("http://a:0/b", "begin with http"),
        ("http://a:99999/b", "no URL"),
        ("http://[::1/b", "no URL"),
        ("http://a/b c", "plain ASCII"),
        ("http://a/ä", "plain ASCII"),
        ("http://a/\r\nb", "plain ASCII"),
        ("http://a/b#c", "#"),
        ("http://a/" + "b" * URL_CHARS_MAX, "longer"),
    ],
)
def test_other_urls_are_refused_with_one_sentence(url: str, why: str) -> None:
    """Each with its own."""
    with pytest.raises(ValueError, match=why):
        web_seeds([url], "a")


def test_urls_are_bounded() -> None:
    """Sixteen."""
    urls = [f"http://a/{at}" for at in range(URLS_MAX + 1)]
    assert len(web_seeds(urls[1:], "a")) == URLS_MAX
    with pytest.raises(ValueError, match="more than"):
        web_seeds(urls, "a")
