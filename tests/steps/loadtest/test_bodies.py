"""Payloads from every source, and templates that misbehave. Left out: tensors (test_tensors.py)."""

import asyncio
import json
from pathlib import Path

import pytest

from fairway_steps.errors import DomainError, UsageError
from fairway_steps.loadtest.bodies import Source, moments, payloads
from raw_server import always, answer, serving


@pytest.fixture
def rows(tmp_path: Path) -> str:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "n": 1}\n\n  {"prompt": "b", "n": 2}\n')
    return str(tmp_path / "rows.jsonl")


def test_without_a_source_there_is_no_body():
    assert payloads(Source()).bodies == (b"",)


def test_a_literal_a_file_a_url_a_data_set(tmp_path: Path, rows: str):
    (tmp_path / "body").write_bytes(b"\x00\x01")
    assert payloads(Source(literal='{"a": 1}')).bodies == (b'{"a": 1}',)
    assert payloads(Source(file=str(tmp_path / "body")), as_json=False).bodies == (b"\x00\x01",)
    assert payloads(Source(literal="so be it"), as_json=False).bodies == (b"so be it",)
    assert payloads(Source(dataset=rows)).bodies == (b'{"prompt": "a", "n": 1}', b'{"prompt": "b", "n": 2}')
    with serving(always(answer(body=b"[1]", Connection="close"))) as server:
        assert payloads(Source(url=server.url)).bodies == (b"[1]",)


def test_tensors_are_bodies_that_differ_and_repeat_with_their_seed():
    made = payloads(Source(tensors="x:FP32[1,4]", variants=3)).bodies
    assert len(set(made)) == 3
    assert json.loads(made[0])["inputs"][0]["shape"] == [1, 4]
    assert payloads(Source(tensors="x:FP32[1,4]", variants=3)).bodies == made
    assert payloads(Source(tensors="x:FP32[1,4]", variants=3, seed=9)).bodies != made


def test_a_template_has_its_rows_and_random_fields(rows: str):
    template = (
        '{"i": {{ index }}, "p": {{ row.prompt | tojson }}, "n": {{ randint(5, 6) }}, "u": "{{ uuid() }}{{ word(3) }}"}'
    )
    made = payloads(Source(template=template, dataset=rows, variants=3)).bodies
    values = [json.loads(body) for body in made]
    assert [(value["i"], value["p"]) for value in values] == [(0, "a"), (1, "b"), (2, "a")]
    assert {value["n"] for value in values} <= {5, 6}
    assert len({value["u"] for value in values}) == 3
    assert payloads(Source(template=template, dataset=rows, variants=3)).bodies == made


def test_what_jinja_draws_itself_repeats_with_the_seed():
    template = "[{{ range(10**5) | random }}, {{ lipsum(n=1, html=false) | tojson }}]"
    made = payloads(Source(template=template, variants=2)).bodies
    assert len(set(made)) == 2
    assert payloads(Source(template=template, variants=2)).bodies == made
    assert payloads(Source(template=template, variants=2, seed=9)).bodies != made


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "let it loop less"),
        ("{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "writes more than"),
        ("{{ 'a' * 10**10 }}", "takes too much memory"),
        ("{{ ''.__class__.__mro__ }}", "is unsafe"),
        ("{{ randint.__self__ }}", "is unsafe"),
        ("{{ cycler.__init__.__globals__.os }}", "is unsafe"),
        ("{% include '/etc/passwd' %}", "cannot be filled in"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion"),
        ("{{ nothing }}", "'nothing' is undefined; it may use index, row"),
        ("{% if %}", "a mistake in line 1"),
        (r"{{ '\ud800' }}", "what --template writes cannot be written in UTF-8"),
        ("{{ row.x }}", "'row' is undefined"),
    ],
)
def test_a_template_that_loops_or_reaches_for_more_is_one_sentence(template: str, sentence: str, monkeypatch):
    monkeypatch.setattr("fairway_steps.loadtest.templates.SECONDS", 10.0)
    with pytest.raises(UsageError, match="--template") as caught:
        payloads(Source(template=template, variants=1))
    assert sentence in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (Source(literal="{"), "--payload is not JSON"),
        (Source(literal='{"a": NaN}'), "--payload is not JSON: NaN is no number of JSON's"),
        (Source(literal="[-Infinity]"), "--payload is not JSON: -Infinity is no number of JSON's"),
        (Source(literal="[" * 50_000), "--payload is nested too deeply"),
        (Source(file=__file__), "--payload-file is not JSON"),
        (Source(template="{% if index %}x{% else %}1{% endif %}", variants=2), "--template, body 2, is not JSON"),
        (Source(literal="1", file="x"), "--payload and --payload-file exclude each other"),
        (Source(literal="1", dataset="x"), "--payload and --dataset exclude each other"),
        (Source(file="/no/such"), "--payload-file /no/such cannot be read"),
        (Source(dataset="/no/such"), "--dataset /no/such cannot be read"),
        (Source(dataset="/dev/null"), "is empty"),
        (Source(url="nowhere"), "is no URL"),
        (Source(url="http://a..b/x"), "is no URL"),
        (Source(tensors="x"), "cannot be read"),
        (Source(template="x", variants=0), "--variants 0 cannot be"),
        (Source(template="x", variants=10**9), "give 1 to 100,000"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_one_sentence(source: Source, sentence: str):
    with pytest.raises(UsageError) as caught:
        payloads(source)
    assert sentence in str(caught.value)


def test_a_line_that_is_not_json_is_named(tmp_path: Path):
    (tmp_path / "rows").write_text('{}\n{"a":\n')
    with pytest.raises(UsageError, match="line 2, is not JSON"):
        payloads(Source(dataset=str(tmp_path / "rows")))


def test_a_payload_that_cannot_be_fetched_is_the_worlds_fault(unused_port: int):
    with pytest.raises(DomainError, match="cannot be fetched: its server cannot be reached"):
        payloads(Source(url=f"http://127.0.0.1:{unused_port}/"))
    with serving(always(answer(404, Connection="close"))) as server, pytest.raises(DomainError, match="status 404"):
        payloads(Source(url=server.url))


def test_a_trace_is_one_moment_a_line(tmp_path: Path):
    (tmp_path / "trace").write_text("# seconds\n0.5\n1  # another\n\n2.25\n")
    assert moments(str(tmp_path / "trace")) == [0.5, 1.0, 2.25]
    (tmp_path / "trace").write_text("0.5\nsoon\n")
    with pytest.raises(UsageError, match="line 2: 'soon' is no moment"):
        moments(str(tmp_path / "trace"))


def test_payloads_that_fill_the_memory_are_refused_before_they_do(monkeypatch):
    monkeypatch.setattr("fairway_steps.loadtest.bodies.MAX_BYTES", 10_000)
    with pytest.raises(UsageError, match="larger than 10,000 bytes together"):
        payloads(Source(tensors="x:FP64[1,100]", variants=100_000))


def test_the_password_in_a_url_is_not_told(unused_port: int):
    with pytest.raises(DomainError) as caught:
        payloads(Source(url=f"http://name:secret@127.0.0.1:{unused_port}/body"))
    assert (
        str(caught.value)
        == f"--payload-url http://127.0.0.1:{unused_port}/body cannot be fetched: its server cannot be reached"
    )


def test_a_url_that_trickles_ends_in_time(monkeypatch):
    monkeypatch.setattr("fairway_steps.loadtest.bodies.FETCH_SECONDS", 0.3)

    async def trickling(_number, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n")
        for _ in range(60):
            writer.write(b"1")
            await asyncio.sleep(0.05)

    with serving(trickling) as server, pytest.raises(DomainError, match="no answer in time"):
        payloads(Source(url=server.url))
