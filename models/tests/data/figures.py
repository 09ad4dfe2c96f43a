"""Writes figures.json: what scikit-learn and SciPy say about a few small tables.

Run with the environment of `cargo xtask parity`:  target/peers-venv/bin/python models/tests/data/figures.py
Made with scikit-learn 1.9.1, SciPy 1.17.1.
"""

import json
import pathlib

import numpy as np
from scipy.stats import beta, ks_2samp
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

random = np.random.default_rng(7)


def table(name, pd, bad):
    pd, bad = np.asarray(pd, float), np.asarray(bad, bool)
    return {
        "name": name,
        "pd": pd.tolist(),
        "bad": bad.tolist(),
        "auc": roc_auc_score(bad, pd),
        "ks": ks_2samp(pd[bad], pd[~bad]).statistic,
        "gini": 2 * roc_auc_score(bad, pd) - 1,
        "brier": brier_score_loss(bad, pd),
        "log_loss": log_loss(bad, pd),
    }


def drawn(n, ties):
    pd = random.beta(1.2, 3.0, n).clip(1e-6, 1 - 1e-6)
    bad = random.random(n) < pd
    return (np.round(pd, 1).clip(0.05, 0.95) if ties else pd), bad


tables = [
    table("random", *drawn(200, ties=False)),
    table("ties", *drawn(200, ties=True)),
    table("one default", [0.2, 0.1, 0.3, 0.3], [False, False, True, False]),
    table("all equal", [0.25] * 6, [True, False, False, True, False, False]),
    table("perfect", [0.1, 0.2, 0.8, 0.9], [False, False, True, True]),
    table("backwards", [0.1, 0.2, 0.8, 0.9], [True, True, False, False]),
    table("extreme", [1e-9, 1 - 1e-9, 1e-9, 0.5], [False, True, True, False]),
]

counts = [(0, 1), (1, 1), (0, 10), (3, 10), (10, 10), (1, 400), (127, 654), (430, 555), (4, 4000)]
counts += [(3500, 9000), (50_000, 100_000), (12, 1_000_000), (400_000, 1_000_000)]
intervals = []
for bads, rows in counts:
    lower, upper = beta.ppf([0.025, 0.975], bads + 0.5, rows - bads + 0.5)
    intervals.append([bads, rows, 0.0 if bads == 0 else lower, 1.0 if bads == rows else upper])

shifts = []
for n in (2, 5, 12):
    then, now = random.dirichlet(np.ones(n) * 3), random.dirichlet(np.ones(n) * 3)
    shifts.append([then.tolist(), now.tolist(), float(np.sum((now - then) * np.log(now / then)))])

out = {"tables": tables, "intervals": intervals, "psi": shifts}
text = json.dumps(out, indent=None, separators=(",", ":"))
pathlib.Path(__file__).with_name("figures.json").write_text(text + "\n")
