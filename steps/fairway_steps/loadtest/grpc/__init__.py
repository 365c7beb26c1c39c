"""gRPC as a protocol of the load test: any method, unary or streaming, and Open Inference V2 without a schema.

``grpc://HOST:PORT`` (plain text) and ``grpcs://HOST:PORT`` (TLS), followed by ``/package.Service/Method``, by
``/v2/models/NAME/infer`` as over HTTP, or by nothing: then it is V2's ``ModelInfer``, or what ``--call`` names.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read as it is imported; what it would log is said in our own words

from fairway_steps.loadtest.grpc.target import Grpc, target

__all__ = ["Grpc", "target"]
