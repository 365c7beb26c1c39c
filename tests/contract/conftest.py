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
def no_kserve(real, tmp_path_factory):
    """A real cluster where no KServe rules, whose webhook takes but one mode: an API server apart, where the cluster has one."""
    webhook = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/inferenceservice.serving.kserve.io"
    if asked(real, "GET", webhook)["kind"] != "ValidatingWebhookConfiguration":
        yield real
        return
    with kubeconfig(tmp_path_factory.mktemp("apart"), own=True) as path:
        cluster = connect({"KUBECONFIG": str(path)}, SystemClock())
        yield cluster
        cluster.close()


@pytest.fixture(scope="session")
def inferenceservice(no_kserve):
    """A real cluster that knows KServe's kinds, and Knative's below them."""
    install_crds(no_kserve, "serving.knative.dev", ("services", "revisions"))
    install_crds(no_kserve, "serving.kserve.io", ("inferenceservices",))
    return no_kserve


@pytest.fixture(scope="session")
def modelmesh(inferenceservice):
    """A real cluster that knows the kinds of a ModelMesh behind Istio."""
    install_crds(inferenceservice, "networking.istio.io", ("virtualservices", "destinationrules"))
    return inferenceservice


@pytest.fixture(scope="session")
def llminferenceservice(real):
    """A real cluster that knows KServe's LLMInferenceServices."""
    install_crds(real, "serving.kserve.io", ("llminferenceservices",))
    return real
