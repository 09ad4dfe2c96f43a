"""What the Rust tests compare with: answers of the training libraries themselves."""

import csv
import json
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost as xgb

import boosted
import document
import scorecard
from data import BOOLEANS, CATEGORIES, FEATURES, Data, inputs
from evaluate import GROUPS, group_index

EVERY = 15


def sample(out: Path, data: Data, card: scorecard.Scorecard, booster: xgb.Booster) -> None:
    """Every 15th row of the data, and what both models say about it."""
    x = data.x.iloc[::EVERY].reset_index(drop=True)
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "sample.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FEATURES)
        for _, row in x.iterrows():
            answers = inputs(row)
            text = lambda v: "" if v is None else str(v).lower() if isinstance(v, bool) else str(v)  # noqa: E731
            writer.writerow([text(answers[name]) for name in FEATURES])
    margins = [card.margin(row) for _, row in x.iterrows()]
    expected(out / "sample-scorecard.csv", margins)
    expected(out / "sample-boosted.csv", [float(m) for m in boosted.margins(booster, x)])
    contributions = booster.predict(boosted.matrix(x), pred_contribs=True)
    rows = [
        {"inputs": inputs(row), "contributions": dict(zip(FEATURES, map(float, c[:-1]))), "bias": float(c[-1])}
        for (_, row), c in zip(x.iterrows(), contributions)
    ]
    lines(out / "shap-boosted.json", rows)


def expected(path: Path, margins: list) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["margin_bits", "pd", "group"])
        for margin in margins:
            pd_ = boosted.logistic(margin)
            group = GROUPS[int(group_index(np.array([pd_]), document.CUTS)[0])]
            writer.writerow([struct.pack(">d", margin).hex(), repr(pd_), group])


def lines(path: Path, rows: list) -> None:
    """A JSON array with one element per line."""
    body = ",\n".join(json.dumps(row, allow_nan=False) for row in rows)
    path.write_text(f"[\n{body}\n]\n", encoding="utf-8")


def trap(out: Path) -> None:
    """Where importers go wrong: data with two decimals on thresholds that are f32, DART's tree weights,
    a category with many options, and missing values, in one small made-up model."""
    random = np.random.default_rng(7)
    n = 600
    rate = np.round(random.uniform(5, 23, n), 2)
    share = np.round(random.uniform(0, 0.8, n), 2)
    region = random.integers(0, 12, n).astype("float64")
    rate[random.random(n) < 0.1] = np.nan
    region[random.random(n) < 0.1] = np.nan
    risk = np.nan_to_num(rate, nan=14) / 6 + 4 * share + np.where(np.isin(region, [1, 4, 7, 11]), 1.5, 0)
    y = (risk + random.logistic(size=n) > 4.6).astype(int)
    x = np.column_stack([rate, share, region])
    m = xgb.DMatrix(x.astype("float32"), y, feature_types=["q", "q", "c"], enable_categorical=True, nthread=1)
    parameters = {
        "booster": "dart",
        "rate_drop": 0.2,
        "objective": "binary:logistic",
        "max_depth": 4,
        "eta": 0.3,
        "nthread": 1,
        "seed": 7,
    }
    booster = xgb.train(parameters, m, 20)
    margins = booster.predict(m, output_margin=True)
    codes = [f"r{i}" for i in range(12)]
    text = lambda words: {"es": words, "en": words}  # noqa: E731
    kinds = {
        "rate": {"type": "number", "min": 0, "max": 100, "unit": "percent"},
        "share": {"type": "number", "min": 0, "max": 1, "unit": "none"},
        "region": {"type": "category", "options": [{"code": c, "label": text(c)} for c in codes]},
    }
    spread = {"type": "numeric", "edges": [], "shares": [1.0], "missing": 0.0}

    def answers(row):
        known = lambda v: None if np.isnan(v) else float(v)  # noqa: E731
        code = None if np.isnan(row[2]) else codes[int(row[2])]
        return {"rate": known(row[0]), "share": known(row[1]), "region": code}

    def golden(i):
        margin = float(margins[i])
        return document.golden(answers(x[i]), margin, struct.pack(">d", margin).hex(), boosted.logistic(margin))

    bundle = {
        "format": "vereda-bundle",
        "format_version": 1,
        "id": "trap",
        "version": 1,
        "name": text("Trap"),
        "schema": {
            "currency": "XXX",
            "sections": [{"id": "all", "label": text("All")}],
            "features": [
                {
                    "name": name,
                    "kind": kind,
                    "missing_allowed": name != "share",
                    "label": text(name),
                    "help": text(""),
                    "section": "all",
                    "adjustable": False,
                }
                for name, kind in kinds.items()
            ],
        },
        "estimator": boosted.estimator(booster, {}),
        "calibration": {"type": "none"},
        "groups": {"cuts": document.CUTS, "groups": document.wording.GROUPS},
        "reasons": {"max": 3, "adverse": 3, "baseline": "mean", "texts": {name: {"raises": text("up"), "lowers": text("down")} for name in kinds}},
        "golden": [golden(0)],
        "reference": {
            "rows": n,
            "features": {
                "rate": spread,
                "share": spread,
                "region": {"type": "categorical", "shares": {c: 1.0 if c == "r0" else 0.0 for c in codes}, "missing": 0.0},
            },
            "score": spread,
            "group_shares": [0.125] * 8,
            "mean_parts": {},
        },
        "card": {
            "purpose": text("A made-up model for tests."),
            "limits": [text("It says nothing about anybody.")],
            "data": {"name": "made up", "sha256": "0" * 64, "rows": n, "source": text("fixtures.py")},
            "metrics": [],
            "calibration": [],
            "fairness": text("There are no people in it."),
            "protected": {},
            "author": document.AUTHOR,
            "created": document.CREATED,
        },
    }
    document.write(out / "trap-bundle.json", bundle)
    contributions = booster.predict(m, pred_contribs=True)
    lines(
        out / "trap-rows.json",
        [
            {
                "inputs": answers(x[i]),
                "margin_bits": struct.pack(">d", float(margins[i])).hex(),
                "contributions": dict(zip(kinds, map(float, contributions[i][:-1]))),
                "bias": float(contributions[i][-1]),
            }
            for i in range(n)
        ],
    )
