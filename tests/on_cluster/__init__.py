"""Helpers of the end-to-end tests on a cluster: objects, a client that never stops, and Argo's and Tekton's runs."""
