"""One real API server for all contracts that need one."""

import pytest

from api_server import kubeconfig
from fairway_steps.clock import SystemClock
from fairway_steps.cluster.connect import connect
from fakes_gateway import asked, install_crds


@pytest.fixture(scope="session")
def real_config(tmp_path_factory):
    """The kubeconfig of a real API server."""
    with kubeconfig(tmp_path_factory.mktemp("api")) as path:
        yield path


@pytest.fixture(scope="session")
def real(real_config):
    """A real cluster."""
    cluster = connect({"KUBECONFIG": str(real_config)}, SystemClock())
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def gateway_api(real):
    """A real cluster that knows the kinds of Gateway API."""
    install_crds(real)
    return real


@pytest.fixture(scope="session")
def istio(real):
    """A real cluster that knows Istio's kinds."""
    install_crds(real, "networking.istio.io", ("virtualservices", "destinationrules"))
    return real


@pytest.fixture(scope="session")
def ksvc(real):
    """A real cluster that knows Knative's kinds."""
    install_crds(real, "serving.knative.dev", ("services", "revisions"))
    return real


@pytest.fixture(scope="session")
def inferenceservice(ksvc):
    """A real cluster that knows KServe's kinds besides, where no KServe rules: its webhook takes but one mode."""
    webhook = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/inferenceservice.serving.kserve.io"
    if asked(ksvc, "GET", webhook)["kind"] == "ValidatingWebhookConfiguration":
        pytest.skip("this cluster's KServe is not in mode Knative: an API server without KUBECONFIG has none")
    install_crds(ksvc, "serving.kserve.io", ("inferenceservices",))
    return ksvc


@pytest.fixture(scope="session")
def modelmesh(inferenceservice, istio):
    """A real cluster that knows the kinds of a ModelMesh behind Istio."""
    del istio  # the same cluster
    return inferenceservice


@pytest.fixture(scope="session")
def llminferenceservice(real):
    """A real cluster that knows KServe's LLMInferenceServices."""
    install_crds(real, "serving.kserve.io", ("llminferenceservices",))
    return real
