"""Models that LightGBM trained, with what LightGBM says about rows: what the importer is compared with.

    python lightgbm_cases.py --out FOLDER [--seed N] [--models N] [--committed]

Everything is drawn from the seed. A case is one file: a line of JSON, then the bytes of the model, then
little-endian doubles: the rows (NaN is missing, a category is its code), the margins, the PDs, and for the
first `explained` rows the contributions with the bias last, where the library gives any.
"""

import argparse
import decimal
import json
import math
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd

VERSION = lgb.__version__
# What the library's predictor takes for 0, and everything nearer to it.
ZERO = float(np.float32(1e-35))


def logistic(x: float) -> float:
    """1 / (1 + e^-x), rounded once."""
    with decimal.localcontext() as context:
        context.prec = 60
        context.Emin, context.Emax = decimal.MIN_EMIN, decimal.MAX_EMAX
        return float(1 / (1 + (-decimal.Decimal(x)).exp()))


def table(random, n: int, numbers: int, categories: list, missing: float, named: bool):
    """Numbers of several shapes and categories of the given sizes; a share of each is missing."""
    columns, levels = {}, {}
    for i in range(numbers):
        x = [
            random.normal(size=n),
            np.round(random.lognormal(6, 1, n)),
            random.integers(-3, 4, n).astype("float64"),
            random.normal(size=n) * 10.0 ** random.integers(-30, 30, n),
        ][i % 4]
        x[random.random(n) < missing] = np.nan
        columns[f"n{i}"] = x
    for i, size in enumerate(categories):
        codes = random.integers(0, size, n).astype("float64")
        codes[random.random(n) < missing] = np.nan
        columns[f"c{i}"] = codes
        levels[f"c{i}"] = [f"level {k}" for k in range(size)]
    codes = pd.DataFrame(columns)
    frame = codes.copy()
    if named:
        for name, words in levels.items():
            frame[name] = pd.Categorical.from_codes(frame[name].fillna(-1).astype(int), words)
    risk = sum(np.tanh(np.nan_to_num(codes[c]) / (1 + np.nanstd(codes[c]))) * random.normal() for c in codes)
    for name, words in levels.items():
        effect = random.normal(size=len(words))
        risk = risk + np.where(np.isnan(codes[name]), 0.3, effect[np.nan_to_num(codes[name]).astype(int)])
    y = (risk + random.logistic(size=n) > np.median(risk) + 1).astype(int)
    return codes, frame, y, levels


def thresholds(text: str, width: int) -> dict:
    """By column, the numbers that the model compares with."""
    found = {i: set() for i in range(width)}
    for block in text.split("\nTree=")[1:]:
        lines = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for feature, threshold, decision in zip(
            lines.get("split_feature", "").split(), lines["threshold"].split(), lines["decision_type"].split()
        ):
            if not int(decision) & 1:
                found[int(feature)].add(float(threshold))
    return {i: sorted(values) for i, values in found.items()}


def rows(random, codes: pd.DataFrame, levels: dict, text: str, count: int, linear: bool) -> np.ndarray:
    """Rows of the data, and rows that nobody trained on: values at the thresholds and beside them,
    infinities, denormals, the edges of what the library calls zero, unseen levels, all missing."""
    x = codes.to_numpy()[random.integers(0, len(codes), count)].copy()
    at = thresholds(text, x.shape[1])
    names = list(codes.columns)
    awkward = [0.0, -0.0, ZERO, -ZERO, np.nextafter(ZERO, 1), np.nextafter(-ZERO, -1), 5e-324, -5e-324, 2.2e-308, 1e-36]
    if not linear:  # there an infinite number would make an infinite margin, which no schema accepts
        awkward += [math.inf, -math.inf, 1.7976931348623157e308, -1.7976931348623157e308, 1e300]
    if any(math.inf in values for values in at.values()):
        awkward = [value for value in awkward if value != math.inf]  # see threshold() in the importer
    for i in range(count // 2, count):
        for j, name in enumerate(names):
            pick = random.random()
            if name in levels:
                if pick < 0.2:  # unseen: beyond the levels, or a code that was never in the data
                    x[i, j] = len(levels[name]) + random.integers(0, 100)
                elif pick < 0.3:
                    x[i, j] = np.nan
            elif pick < 0.45 and at[j]:
                t = min(at[j][random.integers(0, len(at[j]))], 1.7976931348623157e308)
                if not linear or abs(t) < 1e6:
                    x[i, j] = [t, np.nextafter(t, -math.inf), min(np.nextafter(t, math.inf), 1.7976931348623157e308)][random.integers(0, 3)]
            elif pick < 0.75:
                x[i, j] = awkward[random.integers(0, len(awkward))]
            elif pick < 0.85:
                x[i, j] = np.nan
    x[-1, :] = np.nan
    return x


def case(out: Path, name: str, random, parameters: dict, trees: int, n=600, numbers=4, categories=(5,), missing=0.15, named=True, count=24, explained=12):
    codes, frame, y, levels = table(random, n, numbers, list(categories), missing, named)
    linear = parameters.get("linear_tree", False)
    if linear:
        for column in codes:
            if column not in levels:
                frame[column] = codes[column] = np.clip(codes[column], -1e4, 1e4)
    parameters = {
        "objective": "binary",
        "verbose": -1,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": int(random.integers(1 << 30)),
        **parameters,
    }
    categorical = "auto" if named else list(levels)
    booster = lgb.train(parameters, lgb.Dataset(frame, y, categorical_feature=categorical), trees)
    text = booster.model_to_string()
    x = rows(random, codes, levels, text, count, linear)
    # From the text, as everybody else gets the model.
    again = lgb.Booster(model_str=text)
    margins = again.predict(x, raw_score=True)
    # LightGBM does not explain linear trees.
    explained = 0 if linear else explained
    shap = again.predict(x[:explained], pred_contrib=True) if explained else np.empty((0, x.shape[1] + 1))
    if parameters.get("boosting") == "rf":
        # raw_score is the sum, as contributions are; the PD comes from the mean, and so do ours.
        margins, shap = margins / again.num_trees(), shap / again.num_trees()
    # The file has six digits of it, which is what everybody computes with who loads the file.
    slope = float(text.split(" sigmoid:")[1].split()[0]) if " sigmoid:" in text else 1.0
    probabilities = np.array([logistic(slope * m) for m in margins])
    if np.max(np.abs(probabilities - again.predict(x))) > 1e-14:
        raise SystemExit(f"{name}: the library's PD is not the logistic of its margin")
    # What training was told says nothing that the importer reads, but for the columns.
    head, tail = text.split("\nparameters:\n")
    *kept, names = [line for line in tail.splitlines() if line.startswith(("[boosting", "[categorical_feature", "pandas_cat"))]
    text = "\n".join([head, "parameters:", *kept, "", "end of parameters", "", names, ""])
    model = text.encode()
    header = {
        "name": name,
        "library": f"LightGBM {VERSION}",
        "format": "lightgbm",
        "iterations": "all",
        "model_bytes": len(model),
        "rows": len(x),
        "columns": x.shape[1],
        "explained": explained,
        "levels": [0] * x.shape[1],
        "trees": again.num_trees(),
    }
    with open(out / f"lightgbm-{VERSION}-{name}.case", "wb") as file:
        file.write(json.dumps(header).encode() + b"\n" + model)
        for doubles in (x, margins, probabilities, shap):
            file.write(np.ascontiguousarray(doubles, dtype="<f8").tobytes())


def committed(out: Path) -> None:
    random = np.random.default_rng(20261123)
    small = {"num_leaves": 6, "min_data_in_leaf": 10}
    cases = {
        "mixed": ({**small}, 5, {"categories": (5, 40)}),
        "linear": ({**small, "linear_tree": True}, 4, {"numbers": 3}),
        "none-missing": ({**small, "use_missing": False}, 3, {}),
    }
    if VERSION[0] == "4":
        cases |= {
            "zero-missing": ({**small, "zero_as_missing": True}, 4, {}),
            "most-missing": ({**small}, 3, {"missing": 0.9}),
            "forest": ({**small, "boosting": "rf", "bagging_fraction": 0.6, "bagging_freq": 1}, 4, {}),
            "dart": ({**small, "boosting": "dart", "drop_rate": 0.5}, 6, {}),
            "goss": ({**small, "data_sample_strategy": "goss"}, 4, {}),
            "sigmoid": ({**small, "sigmoid": 2.5}, 3, {}),
            "cross-entropy": ({**small, "objective": "cross_entropy"}, 3, {}),
            "constant": ({**small, "min_data_in_leaf": 100000}, 2, {}),
            "200-levels": ({**small, "max_cat_threshold": 100, "min_data_per_group": 5}, 3, {"categories": (200,), "named": False, "numbers": 1, "n": 3000}),
            "one-hot": ({**small, "max_cat_to_onehot": 50}, 3, {"categories": (6, 12), "numbers": 1}),
            "depth-12": ({"num_leaves": 60, "max_depth": 12, "min_data_in_leaf": 2}, 1, {}),
            "stumps": ({"num_leaves": 2}, 12, {"categories": (4,)}),
        }
    for name, (parameters, trees, more) in cases.items():
        case(out, name, random, parameters, trees, **more)


def fresh(out: Path, seed: int, models: int) -> None:
    for i in range(models):
        random = np.random.default_rng([seed, i])
        depth = int(random.integers(1, 13))
        parameters = {
            "max_depth": depth,
            "num_leaves": int(min(2**depth, random.choice([2, 7, 31, 255]))),
            "min_data_in_leaf": int(random.choice([1, 5, 20])),
            "learning_rate": float(random.choice([0.02, 0.1, 0.5])),
            "max_cat_to_onehot": int(random.choice([1, 4, 300])),
            "min_data_per_group": int(random.choice([1, 20, 100])),
        }
        more = random.random()
        if more < 0.12:
            parameters["zero_as_missing"] = True
        elif more < 0.2:
            parameters["use_missing"] = False
        elif more < 0.3:
            parameters["boosting"] = "dart"
        elif more < 0.4:
            parameters |= {"boosting": "rf", "bagging_fraction": 0.7, "bagging_freq": 1}
        elif more < 0.45:
            parameters["data_sample_strategy"] = "goss"
        elif more < 0.55:
            parameters["linear_tree"] = True
        elif more < 0.6:
            parameters["sigmoid"] = float(random.uniform(0.2, 5))
        elif more < 0.63:
            parameters["objective"] = "cross_entropy"
        elif more < 0.66:
            parameters["min_data_in_leaf"] = 10**6
        trees = int(np.exp(random.uniform(0, np.log(1000))))
        if parameters.get("boosting") == "dart":
            trees = min(trees, 100)
        case(
            out,
            f"{seed}-{i}",
            random,
            parameters,
            trees,
            n=int(random.integers(300, 1500)),
            numbers=int(random.integers(1, 7)),
            categories=[int(random.integers(2, 201)) for _ in range(int(random.integers(0, 3)))],
            missing=float(random.choice([0, 0.05, 0.3, 0.9])),
            named=bool(random.random() < 0.7),
            count=200,
            explained=int(random.choice([0, 5, 20])),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--committed", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.committed:
        committed(arguments.out)
    else:
        fresh(arguments.out, arguments.seed, arguments.models)


if __name__ == "__main__":
    main()
