"""The boosted model: XGBoost, monotone where the domain leaves no doubt."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import xgboost as xgb

from data import CATEGORIES, DIRECTIONS, FEATURES

# With 300 the AUC is the same and T8 is promised more defaults than come.
ROUNDS = 200
PARAMETERS = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_depth": 3,
    "eta": 0.05,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "min_child_weight": 5,
    "lambda": 2,
    "monotone_constraints": tuple(DIRECTIONS.get(name, 0) for name in FEATURES),
    # One thread and a fixed seed: the same bytes on every run.
    "nthread": 1,
    "seed": 42,
}


def matrix(x: pd.DataFrame, y: np.ndarray | None = None) -> xgb.DMatrix:
    kinds = ["c" if name in CATEGORIES else "q" for name in x.columns]
    return xgb.DMatrix(
        x.to_numpy(dtype="float32"),
        y,
        feature_names=list(x.columns),
        feature_types=kinds,
        enable_categorical=True,
        nthread=1,
    )


def fit(x: pd.DataFrame, y: np.ndarray) -> xgb.Booster:
    return xgb.train(PARAMETERS, matrix(x, y), ROUNDS)


def fit_predict(x: pd.DataFrame, y: np.ndarray, test: pd.DataFrame) -> np.ndarray:
    margins = fit(x, y).predict(matrix(test), output_margin=True).astype("float64")
    return 1 / (1 + np.exp(-margins))


def margins(booster: xgb.Booster, x: pd.DataFrame) -> np.ndarray:
    """float32, as the library gives them."""
    return booster.predict(matrix(x), output_margin=True)


def base_margin(document: dict) -> float:
    """`base_score` is a probability, in text, between brackets since 3.1; the library takes its logit
    in float32."""
    text = document["learner"]["learner_model_param"]["base_score"].strip("[]")
    p = np.float32(text)
    one = np.float32(1)
    return float(-np.log(one / p - one))


def shortest(x: float) -> float:
    """What is written for a float32: the fewest digits that give it."""
    return float(str(np.float32(x)))


def tree(raw: dict) -> list:
    """The nodes of one tree, level by level: (test, default_left), or (value, cover) in a leaf."""
    order = [0]
    categories = {}
    for node, start, size in zip(
        raw["categories_nodes"], raw["categories_segments"], raw["categories_sizes"]
    ):
        categories[node] = sorted(raw["categories"][start : start + size])
    nodes = []
    for node in order:  # grows while it is read
        if raw["left_children"][node] == -1:
            # A leaf's value stands where a split has its condition.
            nodes.append((shortest(raw["split_conditions"][node]), shortest(raw["sum_hessian"][node])))
            continue
        order += [raw["left_children"][node], raw["right_children"][node]]
        feature = raw["split_indices"][node]
        if raw["split_type"][node] == 1:
            # Sorts as a document must have it: thresholds first, then by feature.
            test = (1, feature, tuple(categories[node]))
        else:
            test = (0, feature, shortest(raw["split_conditions"][node]))
        nodes.append((test, bool(raw["default_left"][node])))
    return nodes


def tests(numbered: list) -> list:
    """Sorted tests, those of one feature together."""
    groups = []
    for (of_codes, feature), group in itertools.groupby(numbered, key=lambda test: test[:2]):
        asked = [list(test[2]) if of_codes else test[2] for test in group]
        if of_codes:
            groups.append({"type": "categories", "feature": feature, "right_codes": asked})
        else:
            groups.append({"type": "thresholds", "feature": feature, "zero_missing": False, "thresholds": asked})
    return groups


def pack(trees: list, weights: list) -> dict:
    """The parts of a document's ensemble that hold the trees."""
    is_leaf = lambda node: not isinstance(node[0], tuple)  # noqa: E731
    asked = sorted({node[0] for nodes in trees for node in nodes if not is_leaf(node)})
    number = {test: n for n, test in enumerate(asked, 1)}
    return {
        "tests": tests(asked),
        "trees": [
            {
                "weight": weight,
                "nodes": [0 if is_leaf(n) else number[n[0]] if n[1] else -number[n[0]] for n in nodes],
                "values": [node[0] for node in nodes if is_leaf(node)],
                "covers": [node[1] for node in nodes if is_leaf(node)],
            }
            for nodes, weight in zip(trees, weights)
        ],
    }


def estimator(booster: xgb.Booster, monotone: dict) -> dict:
    document = json.loads(booster.save_raw("json"))
    gradient_booster = document["learner"]["gradient_booster"]
    weights = gradient_booster.get("weight_drop")
    model = gradient_booster["gbtree"]["model"] if weights else gradient_booster["model"]
    trees = [tree(raw) for raw in model["trees"]]
    return {
        "type": "tree_ensemble",
        "arithmetic": "xgboost",
        "base_margin": base_margin(document),
        "average": False,
        **pack(trees, [float(np.float32(weight)) for weight in weights or [1.0] * len(trees)]),
        "monotone": {
            name: "rises" if direction > 0 else "falls" for name, direction in sorted(monotone.items())
        },
    }


def logistic(margin: float) -> float:
    if margin >= 0:
        return 1 / (1 + math.exp(-margin))
    e = math.exp(margin)
    return e / (1 + e)
