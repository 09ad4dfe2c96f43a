"""The boosted model: XGBoost, monotone where the domain leaves no doubt."""

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


def tree(raw: dict) -> list:
    """The nodes of one tree, breadth first: children come after their parents."""
    order, position = [0], {0: 0}
    categories = {}
    for node, start, size in zip(
        raw["categories_nodes"], raw["categories_segments"], raw["categories_sizes"]
    ):
        categories[node] = sorted(raw["categories"][start : start + size])
    for node in order:  # grows while it is read
        if raw["left_children"][node] != -1:
            for child in (raw["left_children"][node], raw["right_children"][node]):
                position[child] = len(order)
                order.append(child)
    exact = lambda x: float(np.float32(x))  # noqa: E731  (the text has the digits of a float32)
    nodes = []
    for node in order:
        cover = exact(raw["sum_hessian"][node])
        if raw["left_children"][node] == -1:
            # A leaf's value stands where a split has its condition.
            nodes.append({"type": "leaf", "value": exact(raw["split_conditions"][node]), "cover": cover})
            continue
        split = {
            "feature": raw["split_indices"][node],
            "default_left": bool(raw["default_left"][node]),
            "left": position[raw["left_children"][node]],
            "right": position[raw["right_children"][node]],
            "cover": cover,
        }
        if raw["split_type"][node] == 1:
            nodes.append({"type": "categories", "right_codes": categories[node], **split})
        else:
            nodes.append({"type": "split", "threshold": exact(raw["split_conditions"][node]), **split})
    return nodes


def estimator(booster: xgb.Booster, monotone: dict) -> dict:
    document = json.loads(booster.save_raw("json"))
    gradient_booster = document["learner"]["gradient_booster"]
    weights = gradient_booster.get("weight_drop")
    model = gradient_booster["gbtree"]["model"] if weights else gradient_booster["model"]
    trees = model["trees"]
    return {
        "type": "tree_ensemble",
        "arithmetic": "xgboost",
        "base_margin": base_margin(document),
        "trees": [
            {"weight": float(np.float32(weight)), "nodes": tree(raw)}
            for weight, raw in zip(weights or [1.0] * len(trees), trees)
        ],
        "monotone": {
            name: "rises" if direction > 0 else "falls" for name, direction in sorted(monotone.items())
        },
    }


def logistic(margin: float) -> float:
    if margin >= 0:
        return 1 / (1 + math.exp(-margin))
    e = math.exp(margin)
    return e / (1 + e)
