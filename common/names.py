"""Names that came from outside: the one sanitiser, search words, kinds of files.

Every name from a message, a link or a disk passes through `safe_name` or `safe_folder` before
it is joined to a path, shown or told on. The invariant: the result is one plain component (or a
relative path of such), inside any root it is joined to, and sanitising it again changes nothing.
`words` is what index and query share, so both sides cut text in the same way. Whether a file of
that name exists already is not looked at here.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import Final

from common.limits import FILE_NAME_BYTES_MAX, PATH_DEPTH_MAX, STRING_BYTES_MAX, WORD_CHARS_MAX

UNNAMED: Final = "unnamed"
WORDS_PER_NAME_MAX: Final = 128  # a name of 255 bytes has 84 pairs of Han characters
EXTENSION_CHARS_MAX: Final = 16  # "safetensors" has 11; anything longer is a sentence after a dot

# `/`, `\`, the look-alikes of both, and `:` (drives, NTFS streams, the old Mac separator).
_SEPARATORS: Final = "/\\:\u2044\u2215\u2216\u29f5\u29f8\u29f9\ufe68\uff0f\uff3c"
_REPLACED = str.maketrans(dict.fromkeys(_SEPARATORS, "_"))
_REPLACED_CATEGORIES: Final = ("Cc", "Cs", "Zl", "Zp")  # controls, lone surrogates, line ends
# Invisible but no format characters (Cf: bidi controls, joiners, tags): joiner, Hangul fillers.
_INVISIBLE: Final = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
_SPACES: Final = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_SPACES_WIDE: Final = _SPACES + "\u202f\u205f\u2800\u3000"
_NEVER_FIRST: Final = _SPACES_WIDE + ".-~"  # hidden files, options, home folders
_NEVER_LAST: Final = _SPACES_WIDE + "."  # Windows drops them silently
_DEVICE = re.compile(
    r"(?:CON|PRN|AUX|NUL|CLOCK\$|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9\u00b9\u00b2\u00b3])\s*(?:\.|$)",
    re.IGNORECASE,
)
# They choose a glyph (emoji or text, Han variants), so names keep them and words do not.
_VARIATION_SELECTORS = dict.fromkeys(
    (*range(0x180B, 0x180E), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
)
# Of ASCII, letters in lower case and digits; all the rest stands between words.
_ASCII_LETTERS: Final = bytes(
    byte if chr(byte).isalnum() and byte < 128 else ord(" ") for byte in bytes(range(256)).lower()
)
# Scripts that put no spaces between words: Thai, Lao, Myanmar, Khmer, Tai, Kana, Han.
_SPACELESS: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\uaa60-\uaa7f\u3005-\u3007"
    "\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_SPACELESS_CHAR = re.compile(f"[{_SPACELESS}]")

_EXTENSIONS: Final = {
    "audio": "aac aif aiff alac ape flac m4a m4b mid midi mka mp3 mpc oga ogg opus wav wma wv",
    "video": "3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv srt ts vob webm wmv",
    "image": "avif bmp cr2 dng gif heic ico jpeg jpg jxl nef png psd raw svg tif tiff webp xcf",
    "document": "azw3 chm djvu doc docx epub fb2 htm html md mobi odp ods odt pdf ppt pptx ps rst "
    "rtf tex txt xls xlsx",
    "archive": "7z ar br bz2 cab cpio gz lz lz4 lzma rar tar tbz2 tgz txz xz zip zst",
    "software": "apk appimage bat bin c cc cpp deb dll dmg exe flatpak go h hpp img iso jar java "
    "js msi pkg ps1 py qcow2 rb rpm rs sh snap so vmdk wasm whl",
    "data": "arrow avro bson ckpt csv db feather gguf h5 hdf5 ipynb json jsonl mat nc npy npz "
    "onnx orc parquet pkl proto pt pth safetensors sql sqlite tfrecord toml tsv xml yaml yml",
}
OTHER: Final = "other"
MEDIA_TYPES: Final = (*_EXTENSIONS, OTHER)
_TYPE_OF: Final = {ext: kind for kind, exts in _EXTENSIONS.items() for ext in exts.split()}


def safe_name(text: str) -> str:
    """One usable path component of at most 255 bytes of UTF-8, whatever `text` is.

    Harmless names of any script stay as they are (in NFC); what is dangerous or misleading
    becomes `_` or goes; nothing left is `unnamed`. A cut name keeps its extension.
    """
    name = _cut(_visible(text).lstrip(_NEVER_FIRST).rstrip(_NEVER_LAST))
    if _DEVICE.match(name):
        name = _cut("_" + name)
    return name or UNNAMED


def safe_folder(text: str) -> str:
    """A relative folder path with `/` between at most 32 sanitised names, 1,024 bytes in all.

    Empty components, `.` and `..` go; what is too deep or too long is cut from the end. The
    empty string is the shared folder itself.
    """
    kept: list[str] = []
    left = STRING_BYTES_MAX
    for component in text.split("/"):
        if component in ("", ".", ".."):
            continue
        name = safe_name(component)
        left -= len(name.encode()) + 1
        if left < -1 or len(kept) == PATH_DEPTH_MAX:  # -1: the last name has no `/` behind it
            break
        kept.append(name)
    return "/".join(kept)


def words(text: str) -> list[str]:
    """The search words of a name or folder path, in order of first appearance.

    Letters and digits of any script, without case or compatibility forms (NFKC_Casefold);
    combining marks stay with their letter. Where a script puts no spaces between words each two
    neighbouring letters are one (bigrams), and a letter alone is one. At most 128 words of at most
    64 characters.
    """
    distinct = list(dict.fromkeys(word_sequence(text)))
    return distinct if len(distinct) <= WORDS_PER_NAME_MAX else distinct[:WORDS_PER_NAME_MAX]


def word_sequence(text: str) -> list[str]:
    """All words of `text` as they follow one another, however often."""
    if text.isascii():
        found = text.encode().translate(_ASCII_LETTERS).decode().split()  # half of what re takes
        return found if len(text) <= WORD_CHARS_MAX else [word[:WORD_CHARS_MAX] for word in found]
    return [word for run in _runs(text) for word in _words_of(run)]


def last_letters(text: str) -> list[str]:
    """The last letter of each run without spaces: bigrams begin with all the others, so each letter
    is the beginning of something."""
    if text.isascii():
        return []
    return [run[-1][:WORD_CHARS_MAX] for run in _runs(text) if len(run) > 1]


def is_lone_letter(word: str) -> bool:
    """Whether this is a single letter of a script that puts no spaces between words."""
    return bool(_SPACELESS_CHAR.match(word)) and len(_letters(word)) == 1


def symbols(text: str) -> str:
    """A text without any word, as it is compared: folded, at most 64 characters; else ''."""
    folded = " ".join(_fold(text).split())
    return "" if word_sequence(folded) else folded[:WORD_CHARS_MAX]


def symbols_of_name(name: str) -> str:
    """What finds a file whose name has no word before its extension: that part, folded."""
    ending = extension(name)
    return symbols(name[: len(name) - len(ending) - 1] if ending else name)


def extension(name: str) -> str:
    """The part behind the last dot, lower-case; empty where that is no plausible extension."""
    stem, _, tail = name.rpartition(".")
    tail = tail.lower()
    return tail if stem and tail.isalnum() and len(tail) <= EXTENSION_CHARS_MAX else ""


def media_type(name: str) -> str:
    """One of `MEDIA_TYPES`, told by the extension alone."""
    return type_of(extension(name))


def type_of(ending: str) -> str:
    """One of `MEDIA_TYPES`, for an extension."""
    return _TYPE_OF.get(ending, OTHER)


def extensions_of(kind: str) -> list[str]:
    """The extensions that tell this type; none of `OTHER`, which no extension tells."""
    return _EXTENSIONS.get(kind, "").split()


def _visible(text: str) -> str:
    """In NFC, without separators, controls, and characters that show nothing or turn the line."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(_shown(text))
    return unicodedata.normalize("NFC", text.translate(_REPLACED))


def _shown(text: str) -> Iterator[str]:
    for char in text:
        category = unicodedata.category(char)
        if category in _REPLACED_CATEGORIES:
            yield "_"
        elif category != "Cf" and char not in _INVISIBLE:
            yield char


def _cut(name: str) -> str:
    """The first 255 bytes on a character's border, of the stem where there is an extension."""
    if len(name.encode()) <= FILE_NAME_BYTES_MAX:
        return name
    ending = extension(name)
    tail = name[-len(ending) - 1 :] if ending else ""
    room = FILE_NAME_BYTES_MAX - len(tail.encode())
    stem = name[: len(name) - len(tail)].encode()[:room].decode(errors="ignore")
    return stem.rstrip(_NEVER_LAST) + tail


def _fold(text: str) -> str:
    """NFKC_Casefold (Unicode 3.13, toNFKC_Casefold), as far as it matters to letters."""
    text = "".join(_shown(unicodedata.normalize("NFD", text.translate(_VARIATION_SELECTORS))))
    for _ in range(2):  # the second pass folds what the first one's NFKC laid bare
        text = unicodedata.normalize("NFKC", text.casefold())
    return text


def _unicode_words(folded: str) -> Iterator[str]:
    word = ""
    for char in folded:
        if char.isalnum() or (word and _is_mark(char)):
            word += char
        elif word:
            yield word
            word = ""
    if word:
        yield word


def _runs(text: str) -> Iterator[list[str]]:
    """Letters side by side of scripts without spaces, and other words whole."""
    for word in _unicode_words(_fold(text)):
        if _SPACELESS_CHAR.search(word) is None:
            yield [word]
            continue
        parts = groupby(_letters(word), lambda letter: bool(_SPACELESS_CHAR.match(letter)))
        for spaceless, letters in parts:
            yield list(letters) if spaceless else ["".join(letters)]


def _letters(word: str) -> list[str]:
    """Characters, each with its marks."""
    letters: list[str] = []
    for char in word:
        if letters and _is_mark(char):
            letters[-1] += char
        else:
            letters.append(char)
    return letters


def _words_of(run: list[str]) -> list[str]:
    pairs = [a + b for a, b in pairwise(run)] or run
    return [word[:WORD_CHARS_MAX] for word in pairs]


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Mc")  # not Me: a keycap is no part of a word
