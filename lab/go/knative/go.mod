module fairway/lab/knative

go 1.25.8

require knative.dev/serving v0.46.0
