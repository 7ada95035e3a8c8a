"""One library measured in this process; a line of JSON for each case.

python benchmarks/measure_engine.py ENGINE --data-dir DIR --threads N --cases CASE ...

Started by compare_engines.py, which sets the threads of the libraries before they are imported.
"""

import argparse
import importlib
import json
import math
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from engines.cases import CASES, SEED, Array, Data, Inference, Perceptrons, Training, load

LEAST = 0.15  # seconds that a measurement lasts
Measured = dict[str, Any]


def accuracy(labels: Array, t: Array) -> float:
    """Return the fraction of labels that are right."""
    return float(np.mean(np.asarray(labels) == t))


def peak_mb() -> float | None:
    """Return the most memory that this process has had, in 10^6 bytes; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def train(engine: ModuleType, case: Training, data: Data, threads: int) -> Measured:
    """Return the mean time of an epoch after the first, and the accuracy after the last."""
    trainer = engine.Trainer(case, data, threads)
    rng, total = np.random.default_rng(SEED), 0.0
    for epoch in range(1 + case.epochs):
        order = rng.permutation(len(data.x))
        started = time.perf_counter()
        trainer.epoch(order)
        total += (time.perf_counter() - started) * (epoch > 0)
    labels = trainer.labels()
    reached = None if labels is None else accuracy(labels, data.t_test)
    return {"seconds": total / case.epochs, "accuracy": reached}


def learn(engine: ModuleType, case: Perceptrons, data: Data, threads: int) -> Measured:
    """Return the mean time of a pass, the accuracy after the last, and the weights."""
    learner = engine.Perceptron(case, data, threads)
    started = time.perf_counter()
    w = learner.learn()
    seconds = (time.perf_counter() - started) / case.passes
    labels = (data.x_test @ w[1:] + w[0]).argmax(axis=1)
    return {"seconds": seconds, "accuracy": accuracy(labels, data.t_test), "weights": w}


def classify(engine: ModuleType, case: Inference, data: Data, threads: int) -> Measured:
    """Return the mean time of a batch, and the accuracy of all."""
    classifier = engine.Classifier(case, data, threads)

    def seconds(passes: int) -> float:
        started = time.perf_counter()
        for _ in range(passes):
            classifier.labels()
        return time.perf_counter() - started

    seconds(passes=1)  # warm-up
    passes = math.ceil(LEAST / seconds(passes=1))
    per_batch = seconds(passes) / passes / (case.images / case.batch)
    labels = np.concatenate(classifier.labels())
    return {"seconds": per_batch, "accuracy": accuracy(labels, data.t_test[: case.images])}


MEASURES = {Training: train, Perceptrons: learn, Inference: classify}


def main() -> None:
    """Measure the cases one after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", help="a file of engines/")
    parser.add_argument("--data-dir")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cases", nargs="+", choices=CASES, required=True)
    parser.add_argument("--weights-to", type=Path, help="npy file for the perceptrons' weights")
    arguments = parser.parse_args()
    engine, data = importlib.import_module(f"engines.{arguments.engine}"), load(arguments.data_dir)
    for name in arguments.cases:
        case = CASES[name]
        measured = MEASURES[type(case)](engine, case, data, arguments.threads)
        weights = measured.pop("weights", None)
        if weights is not None and arguments.weights_to is not None:
            np.save(arguments.weights_to, weights)
        print(json.dumps({"case": name, **measured, "peak_mb": peak_mb()}), flush=True)


if __name__ == "__main__":
    main()
