"""From a release file's text to ``ReleaseSpec``: what one field's type cannot say is checked here."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from fairway_steps.config.fields import (
    AnyVersion,
    Document,
    LoadTestItem,
    NoticeItem,
    Release,
    RulesItem,
    SloItem,
    StageItem,
    Stages,
    TrafficItem,
    VersionItem,
)
from fairway_steps.config.mistakes import validate
from fairway_steps.config.slos import slos_from, unprovable
from fairway_steps.config.spec import Approval, Inference, LoadTest, Notice, Objectives, ReleaseSpec, Traffic
from fairway_steps.config.text import Misfit, Where, parse
from fairway_steps.config.units import misfit, parse_sticky, version
from fairway_steps.model import NAME, Mode, Outcome, Rules, Slo, Stage, Stickiness, Verdict, Version
from fairway_steps.schedule import misplaced
from fairway_steps.strategy import Strategy, unfit

CONTRADICTION = "mode prove promotes on proof alone, so it cannot be promote; write hold or rollback"


def schema() -> dict[str, Any]:
    from fairway_steps.config.metrics import metrics_schema  # noqa: PLC0415 - it builds on the same fields

    made = Release.model_json_schema()
    made["$defs"] |= metrics_schema()
    text = made["properties"]["metrics"].pop("type")
    made["properties"]["metrics"]["anyOf"] = [{"type": text}, {"$ref": "#/$defs/Metrics"}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | made | {"title": "Fairway release"}


def stages_from(text: str, name: str) -> tuple[Stage, ...]:
    document = parse(text, name)
    try:
        return _stages(validate(TypeAdapter(Stages), document.data, ()), ())
    except Misfit as error:
        raise document.error(error) from error


def objectives_from(text: str, name: str) -> Objectives:
    document = parse(text, name)
    try:
        if not isinstance(document.data, dict):
            return Objectives(slos_from(validate(TypeAdapter(list[SloItem]), document.data, ()), ()))
        file = validate(TypeAdapter(Document), document.data, ())
        slos = slos_from(file.slos, ("slos",))
        return Objectives(slos, _rules(file, slos, ("slos",)))
    except Misfit as error:
        raise document.error(error) from error


def release_from(text: str, name: str) -> ReleaseSpec:
    document = parse(text, name)
    try:
        spec = _release(validate(TypeAdapter(Release), document.data, ()))
    except Misfit as error:
        raise document.error(error) from error
    return replace(spec, lines={str(at[0]): f"{name}:{line}" for at, line in document.lines.items() if len(at) == 1})


def _release(file: Release) -> ReleaseSpec:
    if not NAME.fullmatch(file.service):
        raise Misfit(("service",), f"{file.service!r} is not a service's name (small letters, digits, '-' and '.')")
    strategy = Strategy(file.strategy)
    _complete(file, strategy)
    local = file.route.startswith("envoy:")
    if local and not file.route.removeprefix("envoy:").partition("?")[0]:
        raise Misfit(("route",), "it names no folder; write envoy:DIR")
    primary, candidates = _versions(file, strategy, local=local)
    stages, slos = _schedule(file, strategy), slos_from(file.slos, ("slos",)) if file.slos else ()
    if found := misplaced([version.name for version in candidates], stages, slos):
        raise Misfit(found[:1], found[1])
    if (
        strategy is Strategy.PERFORMANCE
        and (index := next((i for i, slo in enumerate(slos) if not slo.alone), None)) is not None
    ):
        raise Misfit(
            ("slos", index), "a load test of one version cannot tell it; give a limit on the error rate or the latency"
        )
    rules = _rules(file, slos, ("slos",))
    if rules.mode is Mode.PROVE and file.on_inconclusive == "promote":
        raise Misfit(("on-inconclusive",), CONTRADICTION)
    return ReleaseSpec(
        service=file.service,
        route=file.route,
        primary=primary,
        candidate=candidates[0],
        rivals=candidates[1:],
        sticky=_sticky(file.sticky),
        stages=stages,
        slos=slos,
        rules=rules,
        strategy=strategy,
        load_test=None if file.load_test is None else _load_test(file.load_test, slos),
        metrics=file.metrics,
        inference=Inference(file.inference.model, file.inference.payload),
        ready_timeout=file.ready.timeout,
        ready_path=file.ready.path,
        interval=file.interval,
        patience=file.patience,
        on_inconclusive=Verdict(file.on_inconclusive),
        approval=Approval(file.approval),
        hold_timeout=file.hold_timeout,
        record=file.record or f"file:.fairway/{file.service}.json",
        report=file.report,
        traffic=None if file.traffic is None else _traffic(file.traffic),
        notify=_notices(file.notify),
    )


def _complete(file: Release, strategy: Strategy) -> None:
    """Refuse a file without what its strategy needs, or with what it has no use for."""
    needed = ["route", "primary"] if strategy.releases else ["load_test"]
    needed += ["stages"] if strategy.staged else []
    needed += ["slos"] if strategy is not Strategy.NONE else []
    for name in needed:
        if name not in file.model_fields_set or getattr(file, name) is None:
            raise Misfit((), f"{name.replace('_', '-')} is missing")
    if strategy.releases and not strategy.rehearsed and file.load_test is not None:
        why = "judges nothing" if strategy is Strategy.NONE else "has no one candidate to test"
        raise Misfit(("load-test",), f"strategy {strategy} {why}; leave it out")


def _versions(file: Release, strategy: Strategy, *, local: bool) -> tuple[Version, tuple[Version, ...]]:
    alone = file.primary is None or not strategy.releases
    primary = None if alone or file.primary is None else _one_version(file.primary, ("primary",), local=local)
    candidates = _candidates(file.candidate, primary, local=local)
    if primary is None and len(candidates) > 1:
        raise Misfit(("candidate",), f"strategy {strategy} is about one version")
    return primary or candidates[0], candidates


def _schedule(file: Release, strategy: Strategy) -> tuple[Stage, ...]:
    stages = _stages(file.stages, ("stages",)) if strategy.staged or file.stages else ()
    if wrong := unfit(strategy, stages):
        raise Misfit(("stages",), wrong)
    return stages


def _load_test(item: LoadTestItem, slos: Sequence[Slo]) -> LoadTest:
    if not item.url.startswith(("http://", "https://", "grpc://", "grpcs://")):
        raise Misfit(
            ("load-test", "url"), f"{item.url!r} is not a URL such as http://127.0.0.1:8002/v2/models/iris/infer"
        )
    if not any(slo.alone for slo in slos):
        raise Misfit(
            ("load-test",),
            "no SLO can be judged by a load test of the candidate alone: give one a limit on the error rate or the latency",
        )
    return LoadTest(item.url, item.rate, item.duration)


def _notices(items: Sequence[NoticeItem]) -> tuple[Notice, ...]:
    notices: list[Notice] = []
    for index, item in enumerate(items):
        notice = _notice(item, ("notify", index))
        if notice in notices:
            raise Misfit(
                ("notify", index), f"it is notify[{notices.index(notice)}] once more; leave one of the two out"
            )
        notices.append(notice)
    return tuple(notices)


def _candidates(given: Any, primary: Version | None, *, local: bool) -> tuple[Version, ...]:
    items = given if isinstance(given, list) else [given]
    if not items:
        raise Misfit(("candidate",), "there is nothing in it")
    found: list[Version] = []
    for index, item in enumerate(items):
        where: Where = ("candidate", index) if isinstance(given, list) else ("candidate",)
        one = _one_version(validate(TypeAdapter(AnyVersion), item, where), where, local=local)
        named = [("the primary", primary)] if primary else []
        for role, other in [*named, *((f"candidate[{i}]", each) for i, each in enumerate(found))]:
            if one.name == other.name:
                raise Misfit(where, f"it is called {one.name!r}, like {role}")
            if _same_place(one.uri) == _same_place(other.uri):
                raise Misfit(where, f"{one.uri} is {role}'s own address")
        found.append(one)
    return tuple(found)


def _sticky(text: str) -> Stickiness | None:
    try:
        return parse_sticky(text) if text else None
    except ValueError as error:
        raise Misfit(("sticky",), str(error)) from error


def _one_version(item: VersionItem, where: Where, *, local: bool) -> Version:
    if local and "/" not in item.url:
        raise Misfit(where, f"{item.name} has no address; write {item.name}=http://HOST:PORT")
    try:
        return version(item.name, item.url)
    except ValueError as error:
        raise Misfit(where, str(error)) from error


def _same_place(uri: str) -> str:
    if not uri.startswith(("http:", "https:")):
        return uri.rstrip("/")
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}{parts.path.rstrip('/')}"


def _stages(items: Sequence[StageItem], prefix: Where) -> tuple[Stage, ...]:
    if not items:
        raise Misfit(prefix, "there are none; write 10@20s,25@20s,50@20s")
    stages = tuple(_stage(item) for item in items)
    if found := misfit(stages):
        index, field, sentence = found
        raise Misfit((*prefix, index, field), sentence)
    return stages


def _stage(item: StageItem) -> Stage:
    weight = item.weight or sum(item.weights.values())
    return Stage(weight, item.duration, item.header, item.mirror, item.through, item.weights)


def _rules(item: RulesItem, slos: Sequence[Slo], prefix: Where) -> Rules:
    rules = Rules(Mode(item.mode), item.alpha, item.beta, item.burn_in, item.early_end)
    if rules.mode is Mode.PROVE:
        for index, slo in enumerate(slos):
            if why := unprovable(slo):
                raise Misfit((*prefix, index), f"mode prove cannot prove it: {why}")
    return rules


def _traffic(item: TrafficItem) -> Traffic:
    try:
        version("traffic", item.url)
        usable = item.url.startswith(("http://", "https://"))
    except ValueError:
        usable = False
    if not usable:
        raise Misfit(("traffic", "url"), f"{item.url!r} is not a URL such as http://127.0.0.1:10000")
    if broken := next((k for k, v in item.headers.items() if not f"{k}{v}".isprintable()), None):
        raise Misfit(
            ("traffic", "headers"), f"the header {broken!r} has a line break or another sign that no header may have"
        )
    if not item.path.startswith("/"):
        raise Misfit(("traffic", "path"), f"{item.path!r} does not start with /")
    return Traffic(item.url, item.rate, item.path, item.payload, item.headers, item.poisson, item.timeout)


def _notice(item: NoticeItem, path: Where) -> Notice:
    """No sentence repeats a URL or a token: it may be a secret that was written down by mistake."""
    reference, web = ("env:", "file:"), ("http://", "https://")
    if item.to == "github":
        for name, given in (("repository", item.repository), ("token-from", item.token_from)):
            if not given:
                raise Misfit(path, f"{name} is missing")
    elif not item.url:
        raise Misfit(path, "url is missing")
    if item.to == "slack" and not item.url.startswith(reference):
        raise Misfit((*path, "url"), "a Slack webhook's URL is a secret; write env:NAME or file:PATH")
    if item.url and not item.url.startswith((*reference, *web)):
        raise Misfit((*path, "url"), "it is neither an HTTP URL nor env:NAME nor file:PATH")
    if item.token_from and not item.token_from.startswith(reference):
        raise Misfit((*path, "token-from"), "it is neither env:NAME nor file:PATH")
    return Notice(item.to, item.url, tuple(Outcome(outcome) for outcome in item.on), item.repository, item.token_from)
