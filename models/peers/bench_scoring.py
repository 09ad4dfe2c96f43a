"""Measures scoring against the libraries that others use, one thread each, in one run.

    python bench_scoring.py --data models/data/es-credit-4k/CreditScoring.csv \
        --ours target/release/examples/speed --work target/bench-scoring

Two XGBoost models are trained and given to every library. In each round every library is measured in
turn, so that a machine that slows down slows all of them; the table has the medians over the rounds.
"""

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import csv
import json
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
import onnxruntime
import treelite
import xgboost as xgb
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

MODELS = {
    "300 trees, depth 5": {"rounds": 300, "max_depth": 5, "eta": 0.05},
    "1,000 trees, depth 8": {"rounds": 1000, "max_depth": 8, "eta": 0.02},
}
MISSING = 99_999_999


def load(path: Path) -> tuple:
    with open(path, newline="", encoding="latin-1") as file:
        table = [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]
    table = np.array([row for row in table if row[0] in (1, 2)])
    x, y = table[:, 1:], (table[:, 0] == 2).astype(int)
    x[x == MISSING] = np.nan
    return x, y


def seconds(call, least: float) -> float:
    """The median time of a call, over as many as fit into `least` seconds and at least three."""
    times, begin = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < least:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


class Ours:
    """The Rust program, which answers each line with seconds."""

    def __init__(self, program: Path, model: Path, rows: Path, margins: Path):
        self.process = subprocess.Popen(
            [program, model, rows, margins], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.facts = json.loads(self.process.stdout.readline())

    def ask(self, what: str) -> float:
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def measure(name: str, parameters: dict, x: np.ndarray, y: np.ndarray, options) -> dict:
    work = options.work / name.split()[0].replace(",", "")
    work.mkdir(parents=True, exist_ok=True)
    x32 = x.astype("float32")
    train = xgb.DMatrix(x32, y, nthread=1)
    rounds = parameters["rounds"]
    booster = xgb.train(
        {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "seed": 42,
            "nthread": 1,
            **{k: v for k, v in parameters.items() if k != "rounds"},
        },
        train,
        rounds,
    )
    booster.save_model(work / "model.json")
    margins = booster.predict(train, output_margin=True)
    x.tofile(work / "rows.f64")
    margins.astype("float64").tofile(work / "margins.f64")

    onnx = convert_xgboost(booster, initial_types=[("input", FloatTensorType([None, x.shape[1]]))])
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = 1
    session_options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        onnx.SerializeToString(), session_options, providers=["CPUExecutionProvider"]
    )
    gtil = treelite.frontend.load_xgboost_model(work / "model.json")
    one = x32[:1].copy()
    few = xgb.DMatrix(x32[:200], nthread=1)
    few_one = xgb.DMatrix(one, nthread=1)
    feed, feed_one = {"input": x32}, {"input": one}
    ours = Ours(options.ours, work / "model.json", work / "rows.f64", work / "margins.f64")

    n = len(x)
    batch = {
        "XGBoost, in place": lambda: booster.inplace_predict(x32, predict_type="margin"),
        # A new one each time: predictions for a known one are kept.
        "XGBoost, DMatrix": lambda: booster.predict(xgb.DMatrix(x32, nthread=1), output_margin=True),
        "ONNX Runtime": lambda: session.run(None, feed),
        "treelite GTIL": lambda: treelite.gtil.predict(gtil, x32, nthread=1, pred_margin=True),
    }
    single = {
        "XGBoost, in place": lambda: booster.inplace_predict(one, predict_type="margin"),
        "ONNX Runtime": lambda: session.run(None, feed_one),
        "treelite GTIL": lambda: treelite.gtil.predict(gtil, one, nthread=1, pred_margin=True),
    }
    explain = {"XGBoost pred_contribs": lambda: booster.predict(few, pred_contribs=True)}
    explain_one = {"XGBoost pred_contribs": lambda: booster.predict(few_one, pred_contribs=True)}
    times = {}
    for _ in range(options.rounds):
        for kind, peers, rows in (
            ("batch", batch, n),
            ("one", single, 1),
            ("explain", explain, 200),
            ("explain one", explain_one, 1),
        ):
            for peer, call in peers.items():
                times.setdefault((kind, peer), []).append(seconds(call, options.seconds) / rows)
            times.setdefault((kind, "Vereda"), []).append(ours.ask(kind))
        for kind in ("batch on two threads", "load"):
            times.setdefault((kind, "Vereda"), []).append(ours.ask(kind))
    medians = {f"{kind} | {who}": statistics.median(values) for (kind, who), values in times.items()}
    return {"model": name, "leaves": ours.facts, "seconds": medians}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ours", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3)
    options = parser.parse_args()
    x, y = load(options.data)
    print(f"{len(y)} rows, {x.shape[1]} features; XGBoost {xgb.__version__}, ONNX Runtime {onnxruntime.__version__}, treelite {treelite.__version__}")
    for name, parameters in MODELS.items():
        result = measure(name, parameters, x, y, options)
        s, facts = result["seconds"], result["leaves"]
        print(f"\n**{name}** ({facts['nodes']:,} nodes; the bundle has {facts['bytes'] / 1e6:.2f} MB)\n")
        print("| what | who | time | against Vereda |\n| --- | --- | --- | --- |")
        for key, value in s.items():
            kind, who = key.split(" | ")
            ours = s[f"{kind} | Vereda"]
            per = "" if kind == "load" else " a row"
            against = "" if who == "Vereda" else f"{value / ours:.1f} x"
            print(f"| {kind} | {who} | {value * 1e6:,.2f} us{per} | {against} |")
        scale = s["batch | Vereda"] / s["batch on two threads | Vereda"]
        print(f"| two threads | Vereda | {scale:.2f} x one | |")
        print(
            f"| memory of a loaded bundle | Vereda | {facts['kept'] / facts['bytes']:.2f} x its size,"
            f" {facts['peak'] / facts['bytes']:.2f} x while it loads | |"
        )


if __name__ == "__main__":
    main()
