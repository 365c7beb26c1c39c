"""The two little languages of conditions: ``when`` (govaluate) and ``retryStrategy.expression`` (expr).

Both are read for the part our templates use: ``==  !=  <  <=  >  >=``, ``&&``, ``||``, ``!``, parentheses, quoted strings,
numbers and booleans. In ``when`` a bare word is a string; in a retry expression it is a variable, and ``and``, ``or``, ``not``,
``contains`` and ``asInt()``/``int()``/``asFloat()``/``float()`` are known too. References: github.com/Knetic/govaluate at the commit that
Argo 3.7 pins; https://expr-lang.org/docs/language-definition.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from fairway_workflows.local.lexers import COMPARISONS, ExpressionError, Token, retry_tokens, when_tokens

Thunk = Callable[[], Any]
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def evaluate_when(text: str) -> bool:
    """Whether a step with this ``when`` is to run, once all its references are filled in. Empty means yes."""
    return _boolean(text, parse_when(text)()) if text else True


def parse_when(text: str) -> Thunk:
    """Read a ``when``. Raises ExpressionError for what cannot be read, or is not in the part we know."""
    return _Parser(text, list(when_tokens(text)), {}).whole()


def evaluate_retry(text: str, variables: Mapping[str, str]) -> bool:
    """Whether an attempt is to be followed by another; ``variables`` are ``lastRetry.exitCode`` and its like."""
    return _boolean(text, parse_retry(text, variables)())


def parse_retry(text: str, variables: Mapping[str, str]) -> Thunk:
    """Read a retry expression over the given variables."""
    return _Parser(text, list(retry_tokens(text)), variables).whole()


def _boolean(text: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ExpressionError(f"'{text}' is not a condition: it gives {value!r}")
    return value


class _Parser:
    """Recursive descent into thunks, so that ``&&`` and ``||`` leave their right side alone where they may."""

    def __init__(self, text: str, tokens: list[Token], variables: Mapping[str, str]) -> None:
        self.text, self.tokens, self.variables, self.at = text, [*tokens, Token("end")], variables, 0

    def whole(self) -> Thunk:
        thunk = self._or()
        self._expect("end")
        return thunk

    def _next(self) -> Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def _take(self, *kinds: str) -> Token | None:
        return self._next() if self.tokens[self.at].kind in kinds else None

    def _expect(self, kind: str) -> None:
        if self._take(kind) is None:
            raise ExpressionError(f"'{self.text}' cannot be read as a condition")

    def _or(self) -> Thunk:
        thunk = self._and()
        while self._take("||"):
            thunk = self._logical(thunk, self._and(), decisive=True)
        return thunk

    def _and(self) -> Thunk:
        thunk = self._comparison()
        while self._take("&&"):
            thunk = self._logical(thunk, self._comparison(), decisive=False)
        return thunk

    def _logical(self, left: Thunk, right: Thunk, *, decisive: bool) -> Thunk:
        def evaluate() -> bool:
            first = _boolean(self.text, left())
            return first if first is decisive else _boolean(self.text, right())

        return evaluate

    def _comparison(self) -> Thunk:
        thunk = self._difference()
        while token := self._take(*COMPARISONS, "contains"):
            thunk = self._compared(token.kind, thunk, self._difference())
        return thunk

    def _compared(self, symbol: str, left: Thunk, right: Thunk) -> Thunk:
        def evaluate() -> bool:
            one, other = left(), right()
            if symbol == "contains":
                return str(other) in str(one)
            if symbol in ORDER:
                if _kind(one) != _kind(other) or _kind(one) not in ("text", "number"):
                    raise ExpressionError(f"'{self.text}' compares values of different kinds with {symbol}")
                return bool(ORDER[symbol](one, other))
            same = isinstance(one, bool) is isinstance(other, bool) and one == other
            return same if symbol == "==" else not same

        return evaluate

    def _difference(self) -> Thunk:
        thunk = self._unary()
        while self._take("-"):
            thunk = self._subtracted(thunk, self._unary())
        return thunk

    def _subtracted(self, left: Thunk, right: Thunk) -> Thunk:
        return lambda: self._number(left()) - self._number(right())

    def _unary(self) -> Thunk:
        if self._take("!"):
            inverted = self._unary()
            return lambda: not _boolean(self.text, inverted())
        if self._take("-"):
            negated = self._unary()
            return lambda: -self._number(negated())
        return self._operand()

    def _operand(self) -> Thunk:
        if not self.variables and self.tokens[self.at].kind == ")":  # govaluate takes a missing last operand as nil
            return lambda: None
        token = self._next()
        if token.kind == "(":
            thunk = self._or()
            self._expect(")")
            return thunk
        if token.kind == "access":
            return lambda: self._refuse(token.value)
        if token.kind == "name":
            return self._function(token.value) if self._take("(") else self._variable(token.value)
        if token.kind != "value":
            raise ExpressionError(f"'{self.text}' cannot be read as a condition")
        return lambda: token.value

    def _refuse(self, word: str) -> NoReturn:
        raise ExpressionError(f"'{self.text}' has the bare word {word!r} (hint: put quotes around values)")

    def _variable(self, name: str) -> Thunk:
        if name not in self.variables:
            raise ExpressionError(f"'{self.text}' names {name!r}, which is not one of {', '.join(self.variables)}")
        return lambda: self.variables[name]

    def _function(self, name: str) -> Thunk:
        kinds: Mapping[str, type[int | float]] = {"asInt": int, "int": int, "asFloat": float, "float": float}
        if name not in kinds:
            raise ExpressionError(f"'{self.text}' calls {name}(), which is not known here")
        argument = self._or()
        self._expect(")")

        def evaluate() -> float:
            try:
                return kinds[name](argument())
            except (TypeError, ValueError) as error:
                raise ExpressionError(f"'{self.text}': {name}() of something that is no number") from error

        return evaluate

    def _number(self, value: Any) -> float:
        if _kind(value) != "number":
            raise ExpressionError(f"'{self.text}' puts '-' to {value!r}, no number (hint: put quotes around values)")
        return float(value)


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "truth"
    return "text" if isinstance(value, str) else "number"
