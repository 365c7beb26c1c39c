"""``fairway plan``."""

import json
import math
from typing import TYPE_CHECKING, Any

import click

from fairway_steps.cli.params import SLOS, STAGES, option
from fairway_steps.config import Objectives, load_release
from fairway_steps.config.spec import patience_for
from fairway_steps.config.units import parse_share
from fairway_steps.errors import UsageError
from fairway_steps.model import Mode, Stage

if TYPE_CHECKING:
    from fairway_steps.needs import Traffic
    from fairway_steps.planning import Need, Plan


VARIATION = "Coefficient of variation (the standard deviation divided by the mean)"


@click.command("plan", epilog="Example: fairway plan release.yaml --rate 40")
@click.argument("file", default="release.yaml")
@option("rate", float, help="Requests per second of the whole service.  [default: the release file's own traffic]")
@option("stages", STAGES, help="Other stages than the file's.")
@option("slos", SLOS, help="Other SLOs than the file's: YAML, or file:PATH.")
@option("healthy", float, default="0.2", help="How much of what a limit allows a healthy version breaks: 0 to 1.")
@option("harmful", float, default="2", help="How many times what a limit allows the version breaks that must be found.")
@option("error-rate", default="1%", help="The primary's own error rate, for margins.")
@option(
    "users", float, help="Users per second of the whole service whose window ends, for rewards.  [default: not known]"
)
@option("reward-variation", float, help=f"{VARIATION} of what users are worth, for rewards.  [default: not known]")
@option("series-variation", float, help=f"{VARIATION} of a version's values, for series.  [default: not known]")
@option("output", click.Choice(["text", "json"]), default="text", help="What to print on stdout.")
def plan(
    file: str,
    rate: float | None,
    stages: tuple[Stage, ...] | None,
    slos: Objectives | None,
    healthy: float,
    harmful: float,
    error_rate: str,
    users: float | None,
    reward_variation: float | None,
    series_variation: float | None,
    output: str,
) -> int:
    """Say before a release what its verdicts will take: requests and time for each SLO, in each stage and in all.

    Proposes stages that are long enough. Nothing is touched, and nothing but FILE is read.

    Exit codes: 0 every SLO can be decided, 1 one never can with this traffic, 2 usage or configuration.
    """
    from fairway_steps.needs import Traffic
    from fairway_steps.planning import plan as planned

    spec = load_release(file)
    rate = rate if rate is not None else spec.traffic.rate if spec.traffic else None
    if rate is None:
        raise UsageError("how much traffic the service has is not known", mend="give --rate, in requests per second")
    if not 0 < rate < math.inf:
        raise UsageError(f"--rate {rate:g} is no number above zero")
    if not (0 <= healthy < 1 and harmful > 1):
        raise UsageError(
            f"--healthy {healthy:g} and --harmful {harmful:g} do not lie on the two sides of the limit, which is 1",
            mend="write for example --healthy 0.2 --harmful 2",
        )
    known = {"users": users, "reward-variation": reward_variation, "series-variation": series_variation}
    for name, value in known.items():
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"--{name} {value:g} is not above zero", mend="leave it out where it is not known")
    asked, schedule = slos or Objectives(spec.slos, spec.rules), stages or spec.stages
    traffic = Traffic(
        rate, healthy, harmful, _share(error_rate), users, reward_variation, series_variation, look=spec.interval
    )
    waits = [patience_for(stage, spec.patience) for stage in schedule]
    made = planned(asked.slos, schedule, traffic, rules=asked.rules, patience=waits)
    prove = asked.rules.mode is Mode.PROVE
    click.echo(
        json.dumps(_told(made)) if output == "json" else "\n".join(_lines(made, traffic, spec.candidate.name, prove))
    )
    return int(bool(made.problems))


def _share(text: str) -> float:
    try:
        share = parse_share(text)
    except ValueError as error:
        raise UsageError(f"--error-rate: {error}") from error
    if share == 0:
        raise UsageError(
            "--error-rate 0 leaves nothing to compare", mend="write the primary's usual error rate, such as 0.1%"
        )
    return share


def _lines(made: "Plan", traffic: "Traffic", candidate: str, prove: bool) -> list[str]:
    from fairway_steps.words import count, limit_of, name_of, number

    whole = sum(stage.duration for stage in made.stages)
    lines = [f"at {number(traffic.rate)} requests/s: {count(sum(made.requests))} of {candidate} in {_time(whole)}"]
    in_all = 0
    for index, (stage, requests) in enumerate(zip(made.stages, made.requests, strict=True)):
        in_all += requests
        part = f"{count(requests)}, {in_all:,} in all" if index else count(requests)
        lines.append(f"  stage {index + 1}, {stage.label} for {_time(stage.duration)}: {part}")
    for need in made.needs:
        least = f"min-requests {need.slo.min_requests}" + (
            f", {need.slo.min_in_all:,} in all" if need.slo.min_in_all else ""
        )
        lines += ["", f"{name_of(need.slo)} (limit {limit_of(need.slo)}), {least}"]
        if need.find is None and need.prove is None:
            lines.append(f"  {_unforeseen(need)}")
            continue
        lines.append(f"  harm, {_harmful(need, traffic)}: {_when(made, traffic, need, need.find, need.found_at)}")
        if not need.slo.one_look:
            health = _when(made, traffic, need, need.prove, need.proved_at)
            lines.append(f"  health, {_healthy(need, traffic)}: {health}")
    lines += ["", *(f"! {problem}" for problem in made.problems)]
    aim = "to find that harm and to prove that health" if prove else "to find that harm"
    short = ",".join(f"{stage.how}@{_short(stage.duration)}" for stage in made.proposed)
    whole = sum(stage.duration for stage in made.proposed)
    lines.append(f"stages {aim} in 9 releases of 10: {short} ({_time(whole)})")
    return lines


def _unforeseen(need: "Need") -> str:
    from fairway_steps.model import Metric

    if need.slo.metric is Metric.DIFFERENCE_RATE:
        return "takes as many comparisons as an error rate of that limit takes requests: see --compare and --max-rate of the collector"
    if need.slo.metric is Metric.SERIES:
        return "is compared once, at the end of each stage: --series-variation tells how many values that takes"
    if need.slo.metric is Metric.REWARD:
        return "takes at least 100 users of each version: --reward-variation tells how many, and --users how long"
    return "takes as many requests, or windows of time for unit: stratum, as its values scatter"


def _harmful(need: "Need", traffic: "Traffic") -> str:
    from fairway_steps.model import Metric
    from fairway_steps.needs import harm_of
    from fairway_steps.words import number, share

    if need.slo.metric in (Metric.REWARD, Metric.SERIES):
        differs = "different from" if need.slo.metric is Metric.SERIES else "worse than"
        return f"{share(harm_of(need.slo, traffic))} {differs} the primary's"
    if need.slo.relative and need.slo.metric is Metric.LATENCY:
        return "a fifth slower than the margin allows"
    return f"{number(traffic.harmful)} times what is allowed"


def _healthy(need: "Need", traffic: "Traffic") -> str:
    from fairway_steps.words import number

    return "as good as the primary" if need.slo.relative else f"{number(traffic.healthy)} of what is allowed"


def _when(made: "Plan", traffic: "Traffic", need: "Need", needed: int | None, at: float | None) -> str:
    from fairway_steps.words import count

    if needed is None:
        return "cannot be proved"
    takes = f"takes {count(needed, need.slo.metric.witness)}"
    if not any(traffic.flow(need.slo, stage) for stage in made.stages):
        return f"{takes}; --users tells how long"
    if at is None:
        where = "its longest stage" if need.slo.one_look else "this release"
        return f"{takes}, more than the {need.brought:,} of {where}"
    elapsed, stage = 0.0, 0
    while stage < len(made.stages) - 1 and elapsed + made.stages[stage].duration < at:
        elapsed += made.stages[stage].duration
        stage += 1
    return f"{takes}, so {_time(at)}, in stage {stage + 1}"


def _short(seconds: float) -> str:
    return f"{seconds / 60:g}m" if seconds % 60 == 0 else f"{seconds:g}s"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.3g} min"
    return f"{seconds / 3600:.3g} h" if seconds < 3.6e6 else f"{seconds / 86400:,.0f} days"


def _told(made: "Plan") -> dict[str, Any]:
    from fairway_steps.codec import encode
    from fairway_steps.words import name_of

    return {
        "stages": [encode(stage) | {"requests": n} for stage, n in zip(made.stages, made.requests, strict=True)],
        "requests": sum(made.requests),
        "slos": [encode(need) | {"name": name_of(need.slo)} for need in made.needs],
        "problems": list(made.problems),
        "proposed": [encode(stage) for stage in made.proposed],
    }
