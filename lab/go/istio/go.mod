module fairway/lab/istio

go 1.25.8

require istio.io/api v1.31.4
