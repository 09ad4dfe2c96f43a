"""Measures a model out of fold, always in the same way: 5 stratified folds, seed 42."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import beta
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

FOLDS = 5
SEED = 42
METHOD = "mean over 5 stratified folds (shuffled, seed 42); everything is fitted inside each fold"
GROUPS = [f"T{i}" for i in range(1, 9)]


@dataclass(frozen=True)
class OutOfFold:
    """What a model says about rows that it has not seen."""

    pd: np.ndarray
    metrics: dict  # name -> (mean, standard deviation over the folds)


def ks(y: np.ndarray, p: np.ndarray) -> float:
    """Kolmogorov-Smirnov: largest distance between the PD distributions of bads and goods."""
    cuts = np.unique(p)
    bad, good = np.sort(p[y == 1]), np.sort(p[y == 0])
    below = [np.searchsorted(part, cuts, side="right") / len(part) for part in (bad, good)]
    return float(np.max(np.abs(below[0] - below[1])))


def cross_validate(x: pd.DataFrame, y: np.ndarray, fit_predict) -> OutOfFold:
    """`fit_predict(train x, train y, test x)` gives the PDs of the test rows."""
    pd_ = np.zeros(len(y))
    folds = {"auc": [], "ks": [], "brier": [], "log_loss": []}
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(x, y):
        p = fit_predict(x.iloc[train], y[train], x.iloc[test])
        pd_[test] = p
        folds["auc"].append(roc_auc_score(y[test], p))
        folds["ks"].append(ks(y[test], p))
        folds["brier"].append(brier_score_loss(y[test], p))
        folds["log_loss"].append(log_loss(y[test], p))
    folds["gini"] = [2 * auc - 1 for auc in folds["auc"]]
    metrics = {name: (float(np.mean(v)), float(np.std(v))) for name, v in folds.items()}
    return OutOfFold(pd_, metrics)


def group_index(p: np.ndarray, cuts: list) -> np.ndarray:
    """0 for T1 to 7 for T8; a PD equal to a cut belongs to the riskier group."""
    return np.searchsorted(np.array(cuts), p, side="right")


def jeffreys(bads: int, rows: int) -> tuple:
    """Jeffreys 95 % interval of a share."""
    low = 0.0 if bads == 0 else float(beta.ppf(0.025, bads + 0.5, rows - bads + 0.5))
    high = 1.0 if bads == rows else float(beta.ppf(0.975, bads + 0.5, rows - bads + 0.5))
    return low, high


def calibration(y: np.ndarray, p: np.ndarray, cuts: list) -> list:
    """One row per group, out of fold; refuses cuts that do not separate."""
    groups = group_index(p, cuts)
    table = []
    for i, name in enumerate(GROUPS):
        mine = groups == i
        rows, bads = int(mine.sum()), int(y[mine].sum())
        if rows < 0.03 * len(y):
            raise SystemExit(f"{name} has only {rows} of {len(y)} rows: move the cuts")
        table.append(
            {
                "group": name,
                "rows": rows,
                "bads": bads,
                "predicted": float(p[mine].mean()),
                "observed": bads / rows,
                "interval": jeffreys(bads, rows),
            }
        )
    observed = [row["observed"] for row in table]
    if any(a >= b for a, b in zip(observed, observed[1:])):
        raise SystemExit(f"the observed PD does not rise strictly from T1 to T8: {observed}")
    return table


def fairness(y: np.ndarray, p: np.ndarray, cuts: list, audit: pd.DataFrame, approve: list) -> list:
    """How the model treats people by attributes that it does not see."""
    groups = group_index(p, cuts)
    approved = np.isin(groups, approve)
    rows = []
    for attribute in audit.columns:
        for value in sorted(audit[attribute].unique()):
            mine = (audit[attribute] == value).to_numpy()
            n, bads = int(mine.sum()), int(y[mine].sum())
            good = mine & (y == 0)
            rows.append(
                {
                    "attribute": attribute,
                    "value": value,
                    "rows": n,
                    "observed": bads / n,
                    "interval": jeffreys(bads, n),
                    "predicted": float(p[mine].mean()),
                    "approved": float(approved[mine].mean()),
                    "approved_good": float(approved[good].mean()) if good.any() else None,
                    "auc": float(roc_auc_score(y[mine], p[mine])) if 0 < bads < n and n >= 100 else None,
                }
            )
    return rows
