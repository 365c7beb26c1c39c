"""Two versions of one real model, behind KServe's own Python server (Open Inference Protocol V2, HTTP and gRPC).

The model tells the hand-written digits that ship inside scikit-learn apart: v1 is a naive Bayes classifier, v2 a scaled
logistic regression, and better. ``--behave`` makes a version misbehave as versions in the field do. With ``--model-dir``
the fitted model is read from there, as servers in a cluster do; ``--save`` writes it. Every answer names its version in the
header ``x-model-version``.

KServe rather than MLServer: it is what Fairway's users run, it is released monthly (MLServer last in 2025), it
supports one more Python (3.13), and it is 80 MB heavier once scikit-learn is there (455 against 375 MB).
"""

import argparse
import asyncio
import logging
import os
import random
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from kserve import InferRequest, InferResponse, Model, ModelServer, model_server
from kserve.errors import InferenceError
from kserve.utils.utils import get_predict_response
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

MODEL = "digits"
FILE = "model.joblib"
BEHAVIOURS = ("good", "slow", "failing", "crashing", "never-ready")
SLOW_BY = 2.0
"""Seconds that ``slow`` adds to each answer."""
FAILING_SHARE = 0.2
"""The share of its requests that ``failing`` answers with status 500."""
CRASH_AFTER = 40
"""How many answers ``crashing`` gives before its process ends."""


def trained(version: str) -> tuple[Pipeline, float]:
    """The fitted model of a version, and its accuracy on held-out digits (a quarter of the 1,797)."""
    digits = load_digits()
    x, x_test, y, y_test = train_test_split(digits.data, digits.target, test_size=0.25, random_state=0)
    model = (
        make_pipeline(GaussianNB())
        if version == "v1"
        else make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    )
    model.fit(x, y)
    return model, float(model.score(x_test, y_test))


class Digits(Model):  # type: ignore[misc]  # kserve ships no types
    """Answers V2 inference requests of shape [n, 64] with n labels."""

    def __init__(self, version: str, behave: str, folder: Path | None = None) -> None:
        super().__init__(MODEL, return_response_headers=True)
        self.version, self.behave, self.folder = version, behave, folder
        self.answered, self.chance = 0, random.Random()  # noqa: S311 - a fault, no secret

    def load(self) -> bool:
        told = f"read from {self.folder}"
        if self.folder is not None:
            self.model = joblib.load(self.folder / FILE)
        else:
            self.model, accuracy = trained(self.version)
            told = f"accuracy {accuracy:.3f}"
        self.ready = True  # KServe's server does not even start without a ready model
        logging.getLogger("demo").info("%s: %s, behaves %s", self.version, told, self.behave)
        return True

    async def healthy(self) -> bool:
        return self.behave != "never-ready"

    async def predict(
        self, payload: InferRequest, headers: dict[str, str] | None = None, response_headers: Any = None
    ) -> InferResponse:
        del headers
        if response_headers is not None:
            response_headers["x-model-version"] = self.version
        self.answered += 1
        if self.behave == "slow":
            await asyncio.sleep(SLOW_BY)
        if self.behave == "crashing" and self.answered > CRASH_AFTER:
            os._exit(3)
        if self.behave == "failing" and self.answered > 1 and self.chance.random() < FAILING_SHARE:
            raise InferenceError("the model failed on purpose")
        labels = self.model.predict(np.asarray(payload.inputs[0].as_numpy(), dtype=float))
        return get_predict_response(payload, labels.astype(np.int64), MODEL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, parents=[model_server.parser], conflict_handler="resolve")
    parser.add_argument("--version", required=True)
    parser.add_argument("--behave", choices=BEHAVIOURS, default="good")
    parser.add_argument("--model-dir", "--model_dir", type=Path, help="read the fitted model from here")
    parser.add_argument("--save", type=Path, help="fit the model, write it to this folder, and end")
    parser.set_defaults(configure_logging=False)
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.basicConfig(level=logging.INFO)
    if chosen.save is not None:
        joblib.dump(trained(chosen.version)[0], chosen.save / FILE)
        return
    model = Digits(chosen.version, chosen.behave, chosen.model_dir)
    model.load()
    server = ModelServer(
        http_port=chosen.http_port,
        grpc_port=chosen.grpc_port,
        workers=1,
        enable_latency_logging=False,
    )
    for name in ("uvicorn", "uvicorn.access", "kserve", "kserve.trace"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a traceback for each failure on purpose says nothing
    server.start([model])


if __name__ == "__main__":
    main()
