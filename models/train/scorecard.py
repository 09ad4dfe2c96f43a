"""The scorecard: logistic regression over weights of evidence (WoE).

WoE = ln(share of bads / share of goods), so a higher WoE is a higher risk. Numbers are cut at
deciles; where the domain says which way the risk moves, neighbouring bins that contradict it are
pooled (pool adjacent violators), which also means that no officer has to explain why a little more
income made things worse.
"""

import math
import struct
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from data import BOOLEANS, CATEGORIES, DIRECTIONS, FEATURES, MISSING_ALLOWED

BINS = 10
# Added to the bads and goods of each bin: a bin without bads still has a finite WoE.
SMOOTHING = 0.5
# Asked, not scored: within this data its WoE adds nothing beside the others (coefficient 0.02).
UNSCORED = ["debt"]
SCORED = [name for name in FEATURES if name not in UNSCORED]


@dataclass(frozen=True)
class Binning:
    """The bins of one feature: upper edges (inclusive) of a number, or all codes."""

    edges: list  # one fewer than `woe` for numbers; empty for codes
    woe: list
    missing: float  # used when the feature may be missing

    def apply(self, x: np.ndarray) -> np.ndarray:
        woe = np.array(self.woe)
        missing = np.isnan(x)
        known = np.where(missing, 0, x)
        index = np.searchsorted(np.array(self.edges), known, side="left") if self.edges else known.astype(int)
        return np.where(missing, self.missing, woe[index])


def woe(bads: int, goods: int, all_bads: int, all_goods: int) -> float:
    return math.log(((bads + SMOOTHING) / all_bads) / ((goods + SMOOTHING) / all_goods))


def fit_binning(name: str, x: np.ndarray, y: np.ndarray) -> Binning:
    all_bads, all_goods = int(y.sum()), int((1 - y).sum())
    known = ~np.isnan(x)
    value = lambda mine: (int(y[mine].sum()), int((1 - y[mine]).sum()))  # noqa: E731
    missing = woe(*value(~known), all_bads, all_goods) if (~known).any() else 0.0
    if name in CATEGORIES or name in BOOLEANS:
        size = len(CATEGORIES[name]) if name in CATEGORIES else 2
        counts = [value(x == code) for code in range(size)]
        return Binning([], [woe(*c, all_bads, all_goods) for c in counts], missing)
    edges = np.unique(np.quantile(x[known], np.arange(1, BINS) / BINS))
    edges = [float(e) for e in edges[edges < x[known].max()]]
    index = np.where(known, np.searchsorted(np.array(edges), x, side="left"), -1)
    counts = [value(index == i) for i in range(len(edges) + 1)]
    direction = DIRECTIONS.get(name, 0)
    i = 0
    while direction and i < len(counts) - 1:
        (b0, g0), (b1, g1) = counts[i], counts[i + 1]
        if (b1 / max(b1 + g1, 1) - b0 / max(b0 + g0, 1)) * direction < 0:
            counts[i : i + 2] = [(b0 + b1, g0 + g1)]
            del edges[i]
            i = max(i - 1, 0)
        else:
            i += 1
    return Binning(edges, [woe(*c, all_bads, all_goods) for c in counts], missing)


@dataclass(frozen=True)
class Scorecard:
    binnings: dict
    intercept: float
    coefficients: dict

    def parts(self, row: dict) -> dict:
        """Each term's part of the margin, as the bundle's evaluation computes it."""
        return {
            name: self.coefficients[name] * float(self.binnings[name].apply(np.array([row[name]]))[0])
            for name in SCORED
        }

    def margin(self, row: dict) -> float:
        """The intercept plus the parts, in the order of the terms, in float64."""
        total = self.intercept
        for part in self.parts(row).values():
            total = total + part
        return total


def fit(x: pd.DataFrame, y: np.ndarray):
    binnings = {name: fit_binning(name, x[name].to_numpy(), y) for name in SCORED}
    regression = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000)
    regression.fit(transform(binnings, x), y)
    coefficients = dict(zip(SCORED, (float(c) for c in regression.coef_[0])))
    if min(coefficients.values()) <= 0:
        raise SystemExit(f"a WoE coefficient is not positive, so its reasons would be inverted: {coefficients}")
    return Scorecard(binnings, float(regression.intercept_[0]), coefficients), regression


def transform(binnings: dict, x: pd.DataFrame) -> np.ndarray:
    return np.column_stack([binnings[name].apply(x[name].to_numpy()) for name in SCORED])


def fit_predict(x: pd.DataFrame, y: np.ndarray, test: pd.DataFrame) -> np.ndarray:
    card, regression = fit(x, y)
    return regression.predict_proba(transform(card.binnings, test))[:, 1]


def margin_bits(margin: float) -> str:
    return struct.pack(">d", margin).hex()


def estimator(card: Scorecard) -> dict:
    terms = []
    for name in SCORED:
        binning = card.binnings[name]
        if binning.edges:
            edges = [None, *binning.edges, None]
            ranges = [
                {"type": "interval", "lower": low, "upper": high} for low, high in zip(edges, edges[1:])
            ]
        else:
            codes = CATEGORIES.get(name, ["false", "true"])
            ranges = [{"type": "codes", "codes": [code]} for code in codes]
        terms.append(
            {
                "feature": name,
                "transform": {
                    "type": "woe",
                    "coefficient": card.coefficients[name],
                    "closed": "right",
                    "bins": [{"of": of, "woe": w} for of, w in zip(ranges, binning.woe)],
                    "missing_woe": binning.missing if name in MISSING_ALLOWED else None,
                },
            }
        )
    return {
        "type": "logistic",
        "intercept": card.intercept,
        "terms": terms,
        "points": {"base_points": 600.0, "base_odds": 20.0, "pdo": 50.0},
    }


def mean_parts(card: Scorecard, x: pd.DataFrame) -> dict:
    return {
        name: float(np.mean(card.coefficients[name] * card.binnings[name].apply(x[name].to_numpy())))
        for name in SCORED
    }
