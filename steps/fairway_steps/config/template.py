"""The commented release file that ``fairway init`` writes."""

TEMPLATE = """\
# A release, for `fairway run release.yaml`. `fairway schema` prints the JSON Schema of this file for editors.
# Paths are meant from the folder in which fairway is called.

service: iris                          # what clients call
route: envoy:./route                   # the folder from which Envoy reads its routes
primary: v1=http://127.0.0.1:8001      # the version that has the traffic
candidate: v2=http://127.0.0.1:8002    # the version to release

# Percent of the traffic to the candidate, and for how long. They rise; promotion follows the last one.
# The short form does the same: stages: 10@20s,25@20s,50@20s
stages:
  - {weight: 10, duration: 20s}
  - {weight: 25, duration: 20s}
  - {weight: 50, duration: 20s}

# What the candidate must keep. A limit that is provably broken rolls back at once, below min-requests there is no
# verdict. A margin compares with the primary at the same time. metrics: is the route's own proxy unless you say otherwise.
slos:
  - {metric: error-rate, limit: 1%}
  - {metric: latency, quantile: p95, limit: 250ms, min-requests: 100}
  # - {metric: latency, quantile: p95, margin: 10%}
  # - {metric: latency-mean, limit: 100ms}
mode: guard               # promote unless harm is proved; prove: promote only what is proved to keep its SLOs

# A version is ready when its model is (Open Inference Protocol V2) and has answered this once.
inference:
  model: iris
  payload: {inputs: [{name: input-0, shape: [1, 4], datatype: FP64, data: [5.1, 3.5, 1.4, 0.2]}]}
ready: {timeout: 60s, path: /v2/health/ready}

interval: 1s              # how often to look at the evidence
# patience: 20s           # how long after a stage to wait for min-requests (default: the stage's duration, at least 10s)
on-inconclusive: hold     # when the evidence is missing in the end: hold, rollback or promote
approval: none            # or before-traffic, before-promotion: ask a person (`fairway approve`)
hold-timeout: 1h          # how long a person has; then the traffic goes back to the primary

record: file:.fairway/iris.json        # the release's state, from which it can go on after a crash
report: fairway-report.html

# A client of Fairway's own, if the service has too little traffic to judge by.
# traffic:
#   url: http://127.0.0.1:10000
#   path: /v2/models/iris/infer
#   rate: 40              # requests per second
#   payload: {inputs: [{name: input-0, shape: [1, 4], datatype: FP64, data: [5.1, 3.5, 1.4, 0.2]}]}

# Who is told of the end; a secret URL stays out of this file.
# notify:
#   - {to: slack, url: "env:SLACK_WEBHOOK_URL", on: [rolled-back, held, broken]}
"""
