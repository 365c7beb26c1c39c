"""What the events of a generated answer say: the OpenAI chat and completion APIs, and the V2 generate stream.

An event counts if it brings output: text, reasoning, or the words of a tool call. Those that only tell the role, the end, the
usage or nothing do not. Which API it is shows in the events themselves.
"""

import json
from array import array
from typing import Any

from fairway_steps.loadtest.client import Stream

DONE = b"[DONE]"
REASONING = ("reasoning_content", "reasoning")  # vLLM before and since 0.11, and others
SPOKEN = ("content", "refusal", "tool_calls", "function_call", "audio")


class Generation:
    """One streamed answer; ``take`` each event with its moment, then ask for the ``stream`` and what is wrong with it."""

    def __init__(self) -> None:
        self._events = array("q")
        self._output = self._prompt = -1
        self._reasoning = 0
        self._openai = self._finished = False
        self.error = ""
        """What the server said went wrong, within a stream that began well."""
        self.garbled = ""
        """Why an event cannot be understood."""

    @property
    def stream(self) -> Stream:
        return Stream(self._events, self._output, self._prompt, self._reasoning)

    @property
    def cut(self) -> bool:
        """Whether the stream ended before the answer did: these APIs say when it does, others do not."""
        return self._openai and not self._finished

    def take(self, data: bytes, at: int) -> None:
        """Take in the data of an event that was read ``at`` (nanoseconds)."""
        if data == DONE:
            self._finished = True
            return
        try:
            event = json.loads(data)
        except ValueError:
            self.garbled = self.garbled or f"event {len(self._events) + 1} of the stream is not JSON"
            return
        if not isinstance(event, dict):
            self.garbled = self.garbled or f"event {len(self._events) + 1} of the stream is no JSON object"
            return
        try:
            self._read(event, at)
        except (AttributeError, TypeError):  # lists where objects belong, and the like
            self.garbled = (
                self.garbled or f"event {len(self._events) + 1} of the stream is not one of a generated answer"
            )

    def _read(self, event: dict[str, Any], at: int) -> None:
        if error := event.get("error"):
            self.error = str(error.get("message", error) if isinstance(error, dict) else error)[:200]
            return
        if usage := event.get("usage"):
            self._usage(usage)
        if self._brings(event):
            self._events.append(at)

    def _brings(self, event: dict[str, Any]) -> bool:
        choices = event.get("choices")
        if choices is None:
            return bool(event.get("text_output"))
        self._openai = True
        brings = False
        for choice in choices:
            if choice.get("finish_reason"):
                self._finished = True
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
        output, prompt = usage.get("completion_tokens"), usage.get("prompt_tokens")
        self._output = output if isinstance(output, int) else self._output
        self._prompt = prompt if isinstance(prompt, int) else self._prompt
