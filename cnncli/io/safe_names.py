"""Names made safe for files, folders and members of archives, and told apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable


def safe_name(text: str) -> str:
    """Make a text fit to be a part of a file name.

    Parameters
    ----------
    text : str
        A file's stem, a key of an archive, a name from a network file.

    Returns
    -------
    str
        Separators and control characters become ``_``; never empty and never only dots.

    Examples
    --------
    >>> safe_name("../../x"), safe_name("..")
    ('.._.._x', '__')
    """
    if not text.strip("."):
        return "_" * max(len(text), 1)
    if text.isprintable() and "/" not in text and "\\" not in text:
        return text
    return "".join("_" if _unsafe(character) else character for character in text)


def plain_name(text: str) -> str:
    """Return a text as a name that is safe in file names and on a terminal.

    Parameters
    ----------
    text : str
        A file's stem or a key, possibly hostile.

    Returns
    -------
    str
        Letters, digits and ``_ . + -``, at most 80 of them, never empty, no ``..``, not beginning
        with a dot or a dash.

    Examples
    --------
    >>> plain_name("../../x"), plain_name("conv1.weight"), plain_name("\\x1b[31m")
    ('x', 'conv1.weight', '31m')
    """
    plain = re.sub(r"[^\w.+-]+|\.{2,}", "_", text)
    return re.sub(r"_{2,}", "_", plain).lstrip("._-")[:80] or "filter"


def safe_folder(text: str) -> str:
    """Make a text fit to be a folder below another: each of its parts as by `safe_name`.

    Examples
    --------
    >>> safe_folder("2024/may"), safe_folder("/abs/../x"), safe_folder(".")
    ('2024/may', 'abs/__/x', '')
    """
    return "/".join(safe_name(part) for part in text.split("/") if part not in ("", "."))


def safe_member(text: str) -> str:
    """Make a text fit to be the name of a member of an archive.

    Such a name may hold slashes, as names of layers do, unless unpacking it as a file would leave
    the folder.

    Examples
    --------
    >>> safe_member("block/conv"), safe_member("/block/conv"), safe_member("../../x")
    ('block/conv', '_block_conv', '.._.._x')
    """
    return text if text and text == safe_folder(text) else safe_name(text)


def distinct(names: Iterable[str], *, match_case: bool = False) -> list[str]:
    """Append ``-2``, ``-3``... to names that appeared before, whatever their case if not matched.

    Examples
    --------
    >>> distinct(["edge", "Edge", "edge-2"])
    ['edge', 'Edge-2', 'edge-2-2']
    >>> distinct(["edge", "Edge", "edge"], match_case=True)
    ['edge', 'Edge', 'edge-2']
    """
    taken: set[str] = set()
    free_names = []
    for name in names:
        free, number = name, 2
        while (key := free if match_case else free.casefold()) in taken:
            free, number = f"{name}-{number}", number + 1
        taken.add(key)
        free_names.append(free)
    return free_names


def _unsafe(character: str) -> bool:
    # Cc: control characters; Cf: also marks that turn the direction of text around.
    return character in "/\\" or unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")
