"""The lab: a whole cluster on one machine, for the end-to-end tests.

Real Kubernetes, Argo Workflows, Tekton, Envoy Gateway, KServe and Prometheus, in a network namespace of their own, from
which no address outside is reachable. Everything comes from package registries, pinned by version and hash: Go modules
(``go/NAME/go.mod`` and ``go.sum``), Debian packages, and the developers' own Python environment.
"""
