"""Covers: what `fairway run` refuses, in one sentence, before anything is touched: files, fields, folders, and a route of others.

Leaves out: each field's own rules (tests/steps/test_config.py).
"""

import json
import re

import pytest

pytestmark = pytest.mark.local
NOTICE = {"to": "http", "url": "http://127.0.0.1:1/"}
REFUSED = [
    ({"stages": [{"weight": 50, "duration": "1s"}, {"weight": 20, "duration": "1s"}]}, "rise"),
    ({"stages": [{"weight": 120, "duration": "1s"}]}, "weight"),
    ({"slos": [{"metric": "latencyy", "quantile": "p95", "limit": "1s"}]}, "latency"),
    ({"slos": [{"metric": "error-rate"}]}, "limit"),
    ({"slso": []}, "did you mean 'slos'"),
    ({"primary": "v1=http://127.0.0.1:1", "candidate": "v1=http://127.0.0.1:2"}, "like the primary"),
    ({"primary": "v1=http://127.0.0.1:1"}, "its users would be moved"),
    ({"candidate": "v2=http://127.0.0.1:2/path"}, "cannot be routed to by Envoy"),
    ({"candidate": "v2=ftp://127.0.0.1:2"}, "cannot be routed to by Envoy"),
    ({"route": "traefik:./x"}, "route: 'traefik:./x' is of no kind"),
    ({"route": "envoy:"}, "it names no folder"),
    ({"route": "envoy:./nowhere"}, "there is no folder"),
    ({"metrics": "carbon:./x"}, "carbon:"),
    ({"metrics": "prometheus:http://127.0.0.1:9"}, "a source without a preset needs requests"),
    ({"record": "digits.json"}, "record: 'digits.json' is not a reference"),
    ({"record": "configmap/digits"}, "names no ConfigMap"),
    ({"record": "configmap/models/digits"}, "this command works on one machine"),
    (
        {"notify": [{"to": "http", "url": "env:NOT_SET_ANYWHERE"}]},
        "notify[0].url: the environment variable NOT_SET_ANYWHERE",
    ),
    ({"notify": [dict(NOTICE), dict(NOTICE)]}, "notify[1]: it is notify[0] once more"),
    ({"report": "nowhere/report.html"}, "report: there is no folder"),
    ({"report": "route"}, "route cannot be written: it is a folder"),
    ({"report": "release.yaml/report.html"}, "report: there is no folder"),
    ({"record": "file:release.yaml/r.json"}, "release.yaml is no folder"),
    ({"record": "file:route"}, "route cannot be"),
    ({"record": "file:/proc/none/record.json"}, "takes no files"),
    ({"record": "file:release.yaml"}, "release.yaml is not a Fairway record"),
]


def everything(place):
    return {path for path in place.folder.rglob("*") if path.name != ".lock"}


@pytest.mark.parametrize(("changed", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_a_wrong_release_file_is_one_sentence_and_nothing_is_touched(place, changed, said):
    path = place.release(**changed)
    before = everything(place)
    run = place.fairway("run", str(path))
    assert run.returncode == 2, run.stderr
    assert said in run.stderr
    assert "Traceback" not in run.stderr
    field = list(changed)[-1]
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if text.startswith(field))
    told = re.match(rf"error: {path}:(\d+): {field}\b", run.stderr.splitlines()[-1])
    assert told, run.stderr
    assert int(told[1]) in range(line, line + 5), "the line of the field, or of an item of it"
    assert everything(place) == before, "something half done is left"
    assert place.weights() == {"v1": 100}


@pytest.mark.parametrize("text", ["", "service: [", "just words", "service: a\nservice: b\n", "- 1"])
def test_a_file_that_is_no_release_is_named(place, text):
    (place.folder / "release.yaml").write_text(text)
    run = place.fairway("run", "release.yaml")
    assert run.returncode == 2
    assert run.stderr.startswith("error: release.yaml")
    assert run.stderr.count("\n") == 1


def test_what_the_run_has_for_itself_must_be_a_folder(place):
    (place.folder / "taken").write_text("")
    run = place.fairway("run", str(place.release()), "--dir=taken")
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "taken is no folder" in run.stderr


def test_a_route_with_somebody_elses_backend_is_refused(place):
    routes = place.folder / "route" / "routes.json"
    routes.write_text(routes.read_text().replace("digits/v1", "somebody"))
    path = place.release()
    before = everything(place)
    run = place.fairway("run", str(path), "--output=json")
    assert run.returncode == 1
    assert "somebody" in json.loads(run.stdout)["reason"]
    assert run.stderr.count("\n") == 1
    assert everything(place) == before
