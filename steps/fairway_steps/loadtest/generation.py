"""What the events of a generated answer say: the OpenAI chat and completion APIs, and the V2 generate stream.

An event counts if it brings output: text, reasoning, or the words of a tool call. Those that only tell the role, the end, the
usage or nothing do not. Which API it is shows in the events themselves.
"""

import json
from array import array
from collections.abc import Callable
from typing import Any

from fairway_steps.loadtest.client import Stream

DONE = b"[DONE]"
REASONING = ("reasoning_content", "reasoning")  # vLLM before and since 0.11, and others
SPOKEN = ("content", "refusal", "tool_calls", "function_call", "audio")
FAILED = ("error", "abort")
"""What a choice that went wrong ends with: OpenRouter and TGI, vLLM and SGLang."""
MAX_TOKENS = 2**31
"""No answer has as many: such a usage tells nothing."""

TRIES = 5
"""How often a stream is searched for what its events have in common."""


class Generation:
    """One streamed answer; ``take`` each event with its moment, then ask for the ``stream`` and what is wrong with it.

    Events of a stream differ in one string, nearly always. Once seen, what is around it spares the others their parsing: with the
    same bytes before and after, and no quote or backslash between, they are the same JSON with another string in that place.
    """

    def __init__(self, heard: Callable[[bytes], None] | None = None) -> None:
        """``heard`` is told the text of the answer, piece by piece."""
        self._heard = heard
        self._before = self._after = b""
        self._common = self._tries = 0  # the length of both together, 0 while they are not known
        self._thinks = 0
        self._events = array("q")
        self._output = self._prompt = -1
        self._reasoning = 0
        self._begun = self._openai = self._finished = False
        self.error = ""
        """What the server said went wrong, within a stream that began well."""
        self.garbled = ""
        """Why an event cannot be understood."""

    @property
    def stream(self) -> Stream:
        return Stream(self._events, self._output, self._prompt, self._reasoning)

    @property
    def cut(self) -> bool:
        """Whether the stream ended before the answer did: it brought nothing, or is of an API that says when it ends."""
        return not self._begun or (self._openai and not self._finished)

    def take(self, data: bytes, at: int) -> None:
        """Take in the data of an event that was read ``at`` (nanoseconds)."""
        if self._common and len(data) > self._common and data.startswith(self._before) and data.endswith(self._after):
            text = data[len(self._before) : -len(self._after)]
            if b'"' not in text and b"\\" not in text:
                self._again(text, at)
                return
        if data == DONE:
            self._finished = True
            return
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            self.garbled = self.garbled or f"event {len(self._events) + 1} of the stream is not JSON"
            return
        if not isinstance(event, dict):
            self.garbled = self.garbled or f"event {len(self._events) + 1} of the stream is no JSON object"
            return
        self._begun = True
        try:
            before = self._reasoning
            self._read(event, at)
            if self._tries < TRIES:
                self._learn(event, data, self._reasoning - before)
        except (AttributeError, TypeError):  # lists where objects belong, and the like
            self.garbled = (
                self.garbled or f"event {len(self._events) + 1} of the stream is not one of a generated answer"
            )

    def fail(self, data: bytes) -> None:
        """Take in the data of an event that is named an error."""
        try:
            self._fail(json.loads(data))
        except (ValueError, RecursionError):
            self._fail(data.decode(errors="replace"))

    def _fail(self, what: Any) -> None:
        while isinstance(what, dict) and (inner := what.get("error") or what.get("message")):
            what = inner
        self.error = str(what)[:200].encode(errors="replace").decode() or "it does not say which"

    def _again(self, text: bytes, at: int) -> None:
        """Take in an event that differs from one before in its text alone."""
        self._events.append(at)
        self._reasoning += self._thinks
        if self._heard is not None and not self._thinks:
            self._heard(text)

    def _learn(self, event: dict[str, Any], data: bytes, thinks: int) -> None:
        """What surrounds the one string of an event that brings nothing but text."""
        texts = _texts(event)
        if len(texts) != 1 or not isinstance(texts[0], str):
            return
        self._tries += 1
        quoted = b'"' + texts[0].encode(errors="surrogatepass") + b'"'
        if data.count(quoted) == 1 and b"\\" not in quoted and b'"' not in quoted[1:-1]:
            place = data.index(quoted)
            self._before, self._after = data[: place + 1], data[place + len(quoted) - 1 :]
            self._common, self._thinks = len(self._before) + len(self._after), thinks

    def _read(self, event: dict[str, Any], at: int) -> None:
        if event.get("error") or event.get("object") == "error":
            self._fail(event)
            return
        if usage := event.get("usage"):
            self._usage(usage)
        if self._brings(event):
            self._events.append(at)
        if self._heard is not None:
            for text in _words(event):
                self._heard(text.encode("utf-8", "replace"))

    def _brings(self, event: dict[str, Any]) -> bool:
        choices = event.get("choices")
        if choices is None:
            return bool(event.get("text_output"))
        self._openai = True
        brings = False
        for choice in choices:
            if reason := choice.get("finish_reason"):
                self._finished = True
                if reason in FAILED:
                    self._fail(f"its answer finished by {reason!r}")
            delta = choice.get("delta")
            if delta is None:
                brings = brings or bool(choice.get("text"))
            elif any(delta.get(name) for name in SPOKEN):
                brings = True
            elif any(delta.get(name) for name in REASONING):
                brings = True
                self._reasoning += 1
        return brings

    def _usage(self, usage: dict[str, Any]) -> None:
        """The last word counts: some servers tell the usage so far in each event."""
        self._output = _number(usage.get("completion_tokens"), self._output)
        self._prompt = _number(usage.get("prompt_tokens"), self._prompt)


def _number(told: object, otherwise: int) -> int:
    return told if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < MAX_TOKENS else otherwise


def _words(event: dict[str, Any]) -> list[str]:
    """What of an event is text of the answer."""
    said = [choice.get("delta") or choice for choice in event.get("choices", [event])]
    return [
        each[name]
        for each in said
        for name in ("text", "text_output", "content", "refusal")
        if isinstance(each.get(name), str)
    ]


def _texts(event: dict[str, Any]) -> list[Any]:
    """All that an event brings, if it says nothing else that matters."""
    choices = event.get("choices", [event])
    if len(choices) != 1 or event.get("usage") or choices[0].get("finish_reason"):
        return []
    said = choices[0].get("delta") or choices[0]
    return [said[name] for name in ("text", "text_output", *SPOKEN, *REASONING) if said.get(name)]
