"""Write docs/presets.md from the presets themselves: `python docs/presets.py` (part of `make golden`)."""

import sys
from pathlib import Path

from fairway_steps.metrics.presets import PRESETS, Preset

TARGET = Path(__file__).parent / "presets.md"
HEAD = """\
# Presets of metrics

Generated from the code by `make golden`. How sources are described: [Where evidence comes from](metrics.md). For every
preset fewer failures and shorter times are better; 4xx answers are the client's doing and no failures.

**What is checked how.** `fairway check-metrics` shows what your own servers expose, before a release.

| preset | checked against |
|---|---|
| `collector` | the collector itself |
| `envoy` | Envoy 1.40, behind a real Prometheus |
| `envoy-gateway`, `kserve` | both themselves, in releases on a cluster |
| `otel-genai` | OpenTelemetry's SDK and exporter with the instruments of its own conventions (0.66), read directly; no server that keeps them has run |
| `vllm` | what the metric code of vLLM 0.32 exposed of requests that it was told of, read directly; no engine has run |
| `istio`, `triton`, `knative` | text in the form that the documentation linked below gives, with the labels that a scrape in a cluster adds, and on such with something wrong; no such server has run |
| `kserve-vllm` | the same under the names that the PodMonitor of the source linked below gives; no such service has run |
| `knative-1.18` | documentation alone |

"""


def render() -> str:
    return (HEAD + "\n\n".join(section(name, preset) for name, preset in PRESETS.items())).rstrip() + "\n"


def section(name: str, preset: Preset) -> str:
    names = preset.names
    values = " or ".join(f"`{value}`" for value in names.values)
    rows = [
        ("requests (denominator)", " + ".join(f"`{metric}`" for metric in names.requests)),
        ("failures (numerator)", failures(preset)),
        ("latency", f"histogram `{names.histogram}` in {names.unit}" if names.histogram else mean(preset)),
        *([("comparisons", f"`{names.comparisons}`")] if names.comparisons else []),
        *([("comparisons that were to be made", f"`{names.attempts}`")] if names.attempts else []),
        *([("differences", f"`{names.differences}`, by its label `kind`")] if names.differences else []),
        ("version label", f"`{names.label}` = {values}"),
    ]
    rows += (
        [("also", ", ".join(f"`{label}` = `{value}`" for label, value in names.where.items()))] if names.where else []
    )
    if names.namespace:
        rows.append(("namespace", f"`{names.namespace}` = that of the versions' objects, if they have one"))
    rows += [(f"`latency: {key}`", f"histogram `{metric}` in {unit}") for key, (metric, unit) in preset.others.items()]
    table = "\n".join(f"| {left} | {right.replace('|', chr(92) + '|')} |" for left, right in rows)
    note = f"\n\n{preset.note}" if preset.note else ""
    return f"## {name}\n\n{preset.about} ([source]({preset.source})).\n\n| | |\n|---|---|\n{table}{note}"


def failures(preset: Preset) -> str:
    names = preset.names
    codes = " + ".join(f"`{metric}`" for metric in (names.codes or names.requests))
    rules = [f"{codes} where `{rule.label}` matches `{rule.values}`" for rule in names.failing]
    counters = [f"`{metric}`" for metrics in names.failures.values() for metric in metrics]
    return "; ".join([*rules, *counters]) or "none: it counts none"


def mean(preset: Preset) -> str:
    names = preset.names
    timed = f" by {' + '.join(f'`{name}`' for name in names.timed)}" if names.timed else ""
    return f"mean only, from `{names.durations}`{timed} in {names.unit}" if names.durations else "none"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
    print(f"wrote {TARGET.name}", file=sys.stderr)
