"""Puts a bundle together and writes it, always in the same bytes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

import wording
from data import BOOLEANS, CATEGORIES, FEATURES, MISSING_ALLOWED, Data
from evaluate import GROUPS, METHOD, OutOfFold, group_index

# Both models share these: T4 means the same risk whichever model said it.
CUTS = [0.03, 0.07, 0.13, 0.22, 0.34, 0.48, 0.65]
APPROVE = [i for i, group in enumerate(wording.GROUPS) if group["decision"] == "approve"]
# Part of the hashed bytes, so a constant and not today.
CREATED = "2026-11-22"
AUTHOR = "Vereda"

# What an officer may enter: wider than the data, narrow enough to catch a slip of the finger.
RANGES = {
    "amount": (50, 20_000, "currency"),
    "term_months": (1, 120, "months"),
    "price": (50, 50_000, "currency"),
    "seniority_years": (0, 60, "years"),
    "income": (0, 5_000, "currency"),
    "expenses": (0, 2_000, "currency"),
    "assets": (0, 500_000, "currency"),
    "debt": (0, 100_000, "currency"),
}
ADJUSTABLE = ["amount", "term_months"]


def kind(name: str) -> dict:
    if name in BOOLEANS:
        return {"type": "boolean"}
    if name in CATEGORIES:
        labels = wording.OPTIONS[name]
        return {"type": "category", "options": [{"code": c, "label": labels[c]} for c in CATEGORIES[name]]}
    low, high, unit = RANGES[name]
    return {"type": "integer", "min": low, "max": high, "unit": unit}


def schema() -> dict:
    features = []
    for name in FEATURES:
        section, label, hint = wording.QUESTIONS[name]
        features.append(
            {
                "name": name,
                "kind": kind(name),
                "missing_allowed": name in MISSING_ALLOWED,
                "label": label,
                "help": hint,
                "section": section,
                "adjustable": name in ADJUSTABLE,
            }
        )
    return {"currency": "XXX", "sections": wording.SECTIONS, "features": features}


def shares(values: np.ndarray, edges: list) -> list:
    index = np.searchsorted(np.array(edges), values, side="left")
    return [float(n) for n in np.bincount(index, minlength=len(edges) + 1)]


def distribution(name: str, x: np.ndarray) -> dict:
    known = x[~np.isnan(x)]
    missing = float(np.isnan(x).sum()) / len(x)
    if name in CATEGORIES or name in BOOLEANS:
        codes = CATEGORIES.get(name, ["false", "true"])
        return {
            "type": "categorical",
            "shares": {code: float((known == i).sum()) / len(x) for i, code in enumerate(codes)},
            "missing": missing,
        }
    return numeric(known, len(x), missing)


def numeric(known: np.ndarray, rows: int, missing: float = 0.0) -> dict:
    """Deciles, as far as they differ."""
    edges = np.unique(np.quantile(known, np.arange(1, 10) / 10))
    edges = [float(e) for e in edges if e < known.max()]
    return {
        "type": "numeric",
        "edges": edges,
        "shares": [n / rows for n in shares(known, edges)],
        "missing": missing,
    }


def reference(data: Data, out_of_fold: OutOfFold, mean_parts: dict) -> dict:
    counts = np.bincount(group_index(out_of_fold.pd, CUTS), minlength=8)
    return {
        "rows": len(data.y),
        "features": {name: distribution(name, data.x[name].to_numpy()) for name in FEATURES},
        "score": numeric(out_of_fold.pd, len(data.y)),
        "group_shares": [float(n) / len(data.y) for n in counts],
        "mean_parts": mean_parts,
    }


def card(model: str, data: Data, out_of_fold: OutOfFold, calibration: list, audit: list) -> dict:
    ages = [row for row in audit if row["attribute"] == "age"]
    limits = list(wording.LIMITS)
    if model == "reference-scorecard":
        limits.append(wording.LIMIT_DEBT)
    return {
        "purpose": wording.PURPOSE[model],
        "limits": limits,
        "data": {
            "name": "es-credit-4k",
            "sha256": data.sha256,
            "rows": len(data.y),
            "source": wording.SOURCE,
        },
        "metrics": [
            {"name": name, "value": mean, "deviation": deviation, "method": METHOD}
            for name, (mean, deviation) in out_of_fold.metrics.items()
        ],
        "calibration": calibration,
        "fairness": wording.fairness(ages[0], ages[-1]),
        "protected": {},
        "author": AUTHOR,
        "created": CREATED,
    }


def golden(inputs: dict, margin: float, bits: str, probability: float) -> dict:
    group = GROUPS[int(group_index(np.array([probability]), CUTS)[0])]
    return {"inputs": inputs, "margin_bits": bits, "probability": probability, "group": group}


def golden_rows(x: pd.DataFrame, p: np.ndarray) -> pd.DataFrame:
    """Real rows: three of each group and one for each feature that can be missing. And three that
    nobody would enter: everything at its smallest, at its largest, and all that can be missing."""
    groups = group_index(p, CUTS)
    chosen = [i for g in range(8) for i in np.flatnonzero(groups == g)[:3]]
    for name in MISSING_ALLOWED:
        chosen.append(int(np.flatnonzero(x[name].isna())[0]))
    rows = x.iloc[sorted(set(chosen))]
    low = {name: RANGES[name][0] if name in RANGES else 0 for name in FEATURES}
    high = {
        name: RANGES[name][1] if name in RANGES else len(CATEGORIES.get(name, [0, 1])) - 1 for name in FEATURES
    }
    absent = {name: np.nan if name in MISSING_ALLOWED else low[name] for name in FEATURES}
    extremes = pd.DataFrame([low, high, absent], columns=FEATURES).astype("float64")
    return pd.concat([rows, extremes], ignore_index=True)


def reasons(names: list) -> dict:
    texts = {name: {"raises": wording.REASONS[name][0], "lowers": wording.REASONS[name][1]} for name in names}
    return {"max": 4, "adverse": 4, "baseline": "mean", "texts": texts}


def bundle(model: str, version: int, estimator: dict, scored: list, golden_: list, reference_: dict, card_: dict) -> dict:
    return {
        "format": "vereda-bundle",
        "format_version": 1,
        "id": model,
        "version": version,
        "name": wording.NAMES[model],
        "schema": schema(),
        "estimator": estimator,
        "calibration": {"type": "none"},
        "groups": {"cuts": CUTS, "groups": wording.GROUPS},
        "reasons": reasons(scored),
        "golden": golden_,
        "reference": reference_,
        "card": card_,
    }


def write(path: Path, document: dict) -> None:
    """JSON that a person can read and a diff can show: two levels open, what is below on one line."""
    compact = lambda value: json.dumps(value, ensure_ascii=False, allow_nan=False)  # noqa: E731

    def lines(value, depth: int) -> str:
        pad, end = "  " * (depth + 1), "  " * depth
        if depth < 4 and isinstance(value, dict) and value and len(compact(value)) > 110:
            body = ",\n".join(f"{pad}{compact(k)}: {lines(v, depth + 1)}" for k, v in value.items())
            return f"{{\n{body}\n{end}}}"
        if depth < 4 and isinstance(value, list) and value and len(compact(value)) > 110:
            body = ",\n".join(f"{pad}{lines(v, depth + 1)}" for v in value)
            return f"[\n{body}\n{end}]"
        return compact(value)

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lines(document, 0) + "\n", encoding="utf-8")
