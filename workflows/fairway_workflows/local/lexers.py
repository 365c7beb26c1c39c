"""Words and symbols of the two condition languages, as their own lexers cut them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
OPERATORS = COMPARISONS | {"&&", "||", "!", "-", "(", ")"}


class ExpressionError(ValueError):
    """A condition that cannot be read, or whose values do not fit its operators."""


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is the operator itself, ``value``, ``name``, ``access`` or ``end``."""

    kind: str
    value: Any = None


def when_tokens(text: str) -> Iterator[Token]:
    r"""Govaluate's lexer: either quote ends a string, ``\`` takes the next character as it is, symbols run together."""
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] in "'\"":
            value, end = _run(text, at + 1, lambda c: c not in "'\"", spaces=True)
            if end >= len(text):
                raise ExpressionError(f"'{text}' has a string without an end")
            at = end + 1
            yield Token("value", value)
        elif text[at].isdigit() or text[at] == ".":
            value, at = _run(text, at, lambda c: c.isdigit() or c == ".")
            yield Token("value", _float(text, value))
        elif text[at].isalpha():
            word, at = _run(text, at, lambda c: c.isalpha() or c.isdigit() or c in "_.")
            yield _when_word(text, word)
        elif text[at] in "()":
            yield Token(text[at])
            at += 1
        else:
            symbol, at = _run(text, at, lambda c: not (c.isalpha() or c.isdigit() or c in "()[]'\""))
            yield _symbol(text, symbol)


def _when_word(text: str, word: str) -> Token:
    first, *fields = word.split(".")
    if first in ("in", "IN") or any(not part or part[0].islower() for part in fields):
        raise ExpressionError(f"'{text}' has the bare word {word!r} (hint: put quotes around values)")
    if fields:  # govaluate reads it as a field of something, and fails when it gets there
        return Token("access", word)
    return Token("value", {"true": True, "false": False}.get(word, word))


def _run(text: str, at: int, fits: Callable[[str], bool], *, spaces: bool = False) -> tuple[str, int]:
    taken = ""
    while at < len(text):
        character = text[at]
        if character == "\\":
            taken += text[at + 1 : at + 2]
            at += 2
            continue
        if (character.isspace() and not spaces) or not fits(character):
            break
        taken += character
        at += 1
    return taken, at


def _symbol(text: str, symbol: str) -> Token:
    if symbol not in OPERATORS:
        raise ExpressionError(f"'{text}' has the invalid token {symbol!r} (hint: put quotes around values)")
    return Token(symbol)


def _float(text: str, number: str) -> float:
    try:
        return float(number)
    except ValueError as error:
        raise ExpressionError(f"'{text}' has {number!r}, which is not a number (hint: put quotes around it)") from error


_RETRY = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<number>\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][\w.]*)"""
    r"""|(?P<symbol>&&|\|\||[=!<>]=|[<>!()-]))"""
)
_WORDS = {"and": Token("&&"), "or": Token("||"), "not": Token("!")} | {
    word: Token("value", word == "true") for word in ("true", "false")
}
_WORDS["contains"] = Token("contains")


def retry_tokens(text: str) -> Iterator[Token]:
    at = 0
    while text[at:].strip():
        match = _RETRY.match(text, at)
        if match is None:
            raise ExpressionError(f"'{text}' cannot be read from {text[at:].strip()!r} on")
        at = match.end()
        if match["string"]:
            yield Token("value", re.sub(r"\\(.)", r"\1", match["string"][1:-1]))
        elif match["number"]:
            yield Token("value", float(match["number"]) if "." in match["number"] else int(match["number"]))
        elif match["word"]:
            yield _WORDS.get(match["word"], Token("name", match["word"]))
        else:
            yield Token(match["symbol"])
