"""Covers: the page of every ending parses, loads nothing and runs nothing, escapes what comes from the record, says what
happened, and never shows a value that is not there.

Leaves out: looks, which a person judges.
"""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from fairway_steps.model import Outcome, Version
from fairway_steps.report.counts import ClientCount
from fairway_steps.report.html import html
from sample_records import START, all_records, failing, promoted

VOID = {"meta", "br", "hr", "img", "input", "link"}
EVIL = "<script>alert('x')</script>\"&"


class Page(HTMLParser):
    """Checks that tags nest, and collects them with their attributes, and the text outside of styles."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.mark.parametrize("name", all_records())
def test_a_page_stands_alone(name):
    text = html(all_records()[name])
    page = Page(text)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "use", "image", "base"}
    for _, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on") or key in ("src", "href", "srcset", "action")]
    assert not re.search(r"url\(|@import|javascript:|data:(?!\w*-)", text)
    assert not re.search(r"\b(nan|inf|None)\b", page.text)


@pytest.mark.parametrize("name", all_records())
def test_ids_are_unique_and_resolve(name):
    page = Page(html(all_records()[name]))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = " ".join(a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a).split()
    assert set(wanted) <= set(ids)


@pytest.mark.parametrize("tone", ["light", "dark"])
def test_text_has_contrast(tone):
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text, in both schemes."""
    styles = re.findall(r":root \{(.*?)\}", html(promoted()), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", styles[0 if tone == "light" else 1]))
    pairs = [
        ("ink", "page"),
        ("ink", "card"),
        ("muted", "card"),
        ("muted", "page"),
        ("limit", "card"),
        ("muted", "band-odd"),
    ]
    pairs += [(name, f"{name}-soft") for name in ("good", "bad", "warn", "busy")] + [("ink", "warn-soft")]
    for front, back in pairs:
        assert contrast(colours[front], colours[back]) >= 4.5, (front, back)


def contrast(one, other):
    dark, light = sorted(luminance(colour) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_what_comes_from_the_record_is_escaped():
    record = replace(
        failing(), service=EVIL, reason=EVIL, holder=EVIL, route=EVIL, release_id=EVIL, primary=Version("v1", EVIL)
    ).noted(START, EVIL, EVIL, failed=True)
    result = replace(
        record.results[0], assessment=replace(record.results[0].assessment, reason=EVIL), samples={EVIL: 3}
    )
    text = html(replace(record, results=(result,), strata=tuple(replace(s, failures={EVIL: 1}) for s in record.strata)))
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 10
    Page(text)


def test_the_page_says_what_happened():
    told = Page(html(failing(), ClientCount(1600, {"v2": {"http-500": 31}}))).text
    for words in (
        "v2 was rolled back",
        "v2 breaks its SLO",
        "http://127.0.0.1:8002",
        "2026-11-23 09:04:12",
        "1,600",
        "as the client saw it",
        "http-500 31",
        "p95 limit 50 ms",
        "rollback",
        "≤ 1 %",
        "judged from 50 requests on",
    ):
        assert words in told


def test_a_record_with_wild_numbers_is_still_shown():
    record = promoted()
    strata = tuple(replace(s, seconds=math.nan) for s in record.strata)
    change = replace(record.timeline[0], settled_after=math.nan, measured={"v2": math.nan})
    wild = replace(record, strata=strata, timeline=(change,), finished=math.inf, created=record.created)
    assert "nan" not in Page(html(wild)).text


def test_an_ending_without_a_reason_or_anything_else():
    empty = replace(
        promoted(),
        outcome=Outcome.BROKEN,
        reason="",
        stages=(),
        slos=(),
        timeline=(),
        results=(),
        strata=(),
        counted={},
    )
    told = Page(html(empty)).text
    assert "A person has to look at the route of iris." in told
    assert "No assessment was made." in told
