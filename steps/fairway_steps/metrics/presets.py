"""The kinds of servers whose metrics Fairway knows: what counts requests, what is a failure, which label tells versions.

Data only; docs/presets.md is generated from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fairway_steps.config.units import nearest
from fairway_steps.errors import UsageError
from fairway_steps.metrics.names import Failing, MetricNames

WORKLOAD = "=~$workload(-predictor|-kserve(-mn)?)?((-[0-9]{5})?-deployment)?"
"""A Deployment, or what runs the pods of a KServe InferenceService in either mode, an LLMInferenceService, a Knative revision."""
PODS = (f"{WORKLOAD}-[a-z0-9]+-[a-z0-9]{{5}}", "=~$workload-kserve-mn-[0-9]+")
"""The pods of those; of several nodes that answer together the leader."""
GRPC_FAULTS = "2|4|8|12|13|14|15"
"""Unknown, deadline exceeded, resource exhausted, unimplemented, internal, unavailable, data loss: the server's doing."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of server. ``others`` are further latencies by name, each a histogram and its unit."""

    about: str
    source: str
    names: MetricNames
    others: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    note: str = ""


ENVOY = MetricNames(
    requests=("envoy_cluster_upstream_rq_completed",),
    label="envoy_cluster_name",
    # Copies that are mirrored to the version count as its requests.
    values=("$stat", "$stat@mirror"),
    codes=("envoy_cluster_upstream_rq",),
    failing=(Failing("envoy_response_code"),),
    # Counted where the attempt failed, not where the request was assigned: an attempt that another version then
    # answered for is still a failure of this one.
    failures={
        "connect": ("envoy_cluster_upstream_rq_pending_failure_eject",),
        "reset": ("envoy_cluster_upstream_cx_destroy_remote_with_active_rq", "envoy_cluster_upstream_rq_rx_reset"),
        "protocol": ("envoy_cluster_upstream_cx_protocol_error",),
    },
    histogram="envoy_cluster_upstream_rq_time",
    unit="ms",
    per_request=("envoy_response_code",),
    uptime="envoy_server_uptime",
    started="",
    overlap=True,
    lags=True,
)

VLLM = Preset(
    "vLLM's OpenAI server",
    "https://docs.vllm.ai/en/latest/usage/metrics.html",
    MetricNames(
        requests=("vllm:request_success_total",),
        label="pod",
        values=PODS,
        namespace="namespace",
        failing=(Failing("finished_reason", "error", "finished-"),),
        histogram="vllm:e2e_request_latency_seconds",
        per_request=("finished_reason",),
    ),
    others={
        "time-to-first-token": ("vllm:time_to_first_token_seconds", "s"),
        "inter-token-latency": ("vllm:inter_token_latency_seconds", "s"),
        "time-per-output-token": ("vllm:request_time_per_output_token_seconds", "s"),
        "queue-time": ("vllm:request_queue_time_seconds", "s"),
        "prefill-time": ("vllm:request_prefill_time_seconds", "s"),
        "decode-time": ("vllm:request_decode_time_seconds", "s"),
    },
    note="A request that vLLM never took (HTTP 4xx, 5xx before the engine) is in no counter of the engine; the proxy has it. "
    "One that the client gave up (`abort`) is no failure.",
)

PRESETS: Mapping[str, Preset] = {
    "envoy": Preset(
        "An Envoy in front of the versions, a cluster for each",
        "https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats",
        ENVOY,
    ),
    "collector": Preset(
        "Fairway's own collector of mirrored requests",
        "mirror.md",
        MetricNames(
            requests=("fairway_collector_requests_total",),
            label="version",
            failing=(Failing("code"), Failing("error", ".+", "")),
            histogram="fairway_collector_request_duration_seconds",
            per_request=("code", "error", "kind"),
            comparisons="fairway_collector_comparisons_total",
            attempts="fairway_collector_attempts_total",
            differences="fairway_collector_differences_total",
        ),
        note="Requests of the primary are those that the collector sent it for a comparison, and no user's.",
    ),
    "envoy-gateway": Preset(
        "Envoy Gateway, by the addresses of the versions' pods",
        "https://gateway.envoyproxy.io/docs/api/extension_types/#proxymetrics",
        MetricNames(
            requests=("envoy_cluster_endpoint_rq_success", "envoy_cluster_endpoint_rq_error"),
            label="envoy_endpoint_address",
            values=("$address",),
            failures={"upstream": ("envoy_cluster_endpoint_rq_error",)},
            uptime="envoy_server_uptime",
            started="",
        ),
        note="All backends of a rule are one cluster of the proxy, so that it tells them apart by endpoint alone, and only if "
        "`EnvoyProxy.spec.telemetry.metrics.enablePerEndpointStats` is true. It has no latency by endpoint: take that "
        "from the model servers (`latency:`).",
    ),
    "istio": Preset(
        "Istio's standard metrics",
        "https://istio.io/latest/docs/reference/config/metrics/",
        MetricNames(
            requests=("istio_requests_total",),
            label="destination_workload",
            values=(WORKLOAD,),
            failing=(Failing("response_code"), Failing("grpc_response_status", GRPC_FAULTS, "grpc-")),
            histogram="istio_request_duration_milliseconds",
            unit="ms",
            where={"reporter": "source"},
            namespace="destination_workload_namespace",
            per_request=(
                *("response_code", "response_flags", "grpc_response_status", "request_protocol"),
                *("connection_security_policy", "source_principal", "destination_principal"),
            ),
        ),
        note="Reported by the source (the gateway, or the caller's sidecar), which also sees what never arrived. "
        "With both reporters each request would be counted twice.",
    ),
    "kserve": Preset(
        "KServe's Python model server",
        "https://kserve.github.io/website/docs/model-serving/predictive-inference/observability/prometheus-metrics",
        MetricNames(
            requests=("request_predict_seconds_count",),
            label="pod",
            values=PODS,
            namespace="namespace",
            histogram="request_predict_seconds",
        ),
        others={
            "preprocess": ("request_preprocess_seconds", "s"),
            "postprocess": ("request_postprocess_seconds", "s"),
            "explain": ("request_explain_seconds", "s"),
        },
        note="It has no counter of errors, so an error rate must come from the proxy: `requests:` from that and `latency:` "
        "from here.",
    ),
    "vllm": VLLM,
    "kserve-vllm": Preset(
        "vLLM in a KServe LLMInferenceService, by the PodMonitor that KServe's controller makes",
        "https://github.com/kserve/kserve/blob/master/pkg/controller/v1alpha2/llmisvc/monitoring.go",
        replace(
            VLLM.names,
            requests=tuple(f"kserve_{name}" for name in VLLM.names.requests),
            histogram=f"kserve_{VLLM.names.histogram}",
            label="llm_isvc_name",
            values=("$workload",),
            # A pod that only fills the cache of another one's answer counts the request once more.
            where={"llm_isvc_component": "=~workload(-leader)?"},
            started=f"kserve_{VLLM.names.started}",
        ),
        others={name: (f"kserve_{metric}", unit) for name, (metric, unit) in VLLM.others.items()},
        note="That PodMonitor renames every series, `kserve_` before its own name; where another one scrapes the pods it is preset `vllm`. "
        "Of a service with pods of its own for prefill those that answer are counted.",
    ),
    "triton": Preset(
        "NVIDIA Triton",
        "https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/metrics.html",
        MetricNames(
            requests=("nv_inference_request_success", "nv_inference_request_failure"),
            label="pod",
            values=PODS,
            namespace="namespace",
            failures={"inference": ("nv_inference_request_failure",)},
            durations="nv_inference_request_duration_us",
            timed=("nv_inference_request_success",),
            unit="us",
            per_request=("reason",),
        ),
        others={"first-response": ("nv_inference_first_response_histogram_ms", "ms")},
        note="It counts as failed what failed in the engine; a request that it refused before (a body that does not parse) is in no "
        "counter, the proxy has it. Its counters tell the mean latency and no quantile. `first-response` needs `--metrics-config "
        "histogram_latencies=true` and a decoupled model.",
    ),
    "otel-genai": Preset(
        "OpenTelemetry's conventions for generative AI, exported to Prometheus",
        "https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/",
        MetricNames(
            requests=("gen_ai_server_request_duration_seconds_count",),
            label="pod",
            values=PODS,
            namespace="namespace",
            failing=(Failing("error_type", ".+", "error-"),),
            histogram="gen_ai_server_request_duration_seconds",
            per_request=("error_type", "gen_ai_response_model", "gen_ai_operation_name"),
        ),
        others={
            "time-to-first-token": ("gen_ai_server_time_to_first_token_seconds", "s"),
            "time-per-output-token": ("gen_ai_server_time_per_output_token_seconds", "s"),
            "client-operation": ("gen_ai_client_operation_duration_seconds", "s"),
        },
        note="Edges are those that the server gives its instruments. The SDK's own (0, 5, 10, 25 s and so on) tell nothing of answers faster than 5 s: "
        "set the boundaries that the conventions advise.",
    ),
    "knative": Preset(
        "Knative's queue proxy, from Serving 1.19 on",
        "https://knative.dev/docs/serving/observability/metrics/serving-metrics/",
        MetricNames(
            requests=("kn_serving_invocation_duration_seconds_count",),
            label="pod",
            values=PODS,
            namespace="namespace",
            failing=(Failing("http_response_status_code"),),
            histogram="kn_serving_invocation_duration_seconds",
            per_request=("http_response_status_code",),
        ),
        note="Before 1.19 it was `revision_app_request_count` and `revision_app_request_latencies`: preset `knative-1.18`.",
    ),
    "knative-1.18": Preset(
        "Knative's queue proxy, up to Serving 1.18",
        "https://knative.dev/v1.18-docs/serving/services/service-metrics/",
        MetricNames(
            requests=("revision_app_request_count",),
            label="revision_name",
            values=("$workload",),
            namespace="namespace_name",
            failing=(Failing("response_code"),),
            histogram="revision_app_request_latencies",
            unit="ms",
            per_request=("response_code", "response_code_class"),
        ),
    ),
}


def chosen(preset: str, latency: str = "", latencies: Sequence[str] = ()) -> MetricNames:
    """The names of a preset, with another of its latencies if one is named, and further ones beside it. Raises UsageError."""
    if preset not in PRESETS:
        raise UsageError(
            f"there is no preset {preset!r}{nearest(preset, PRESETS)}", mend=f"one of {', '.join(PRESETS)}"
        )
    found = PRESETS[preset]
    for name in (*latencies, latency) if latency else latencies:
        if name not in found.others:
            known = ", ".join(found.others) or "no other than the request's"
            raise UsageError(
                f"the preset {preset} has no latency {name!r}{nearest(name, found.others)}", mend=f"it has {known}"
            )
    names = replace(found.names, latencies={name: found.others[name] for name in latencies})
    if not latency:
        return names
    histogram, unit = found.others[latency]
    return replace(names, histogram=histogram, unit=unit, durations="")
