"""Scorecards as scorecardpy and toad print them, with the points that these libraries give to rows.

    python -m pip install scorecardpy==0.1.9.7 toad==0.1.7 "pandas<2.2" "numpy<2" "scikit-learn<1.5" setuptools
    python models/peers/table_cases.py --out shared/scoring/tests/data/tables.json

They want older libraries than those of requirements.txt: an environment of their own. One category is called
"none", which is a text like any other.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

PDO, POINTS, ODDS = 50, 600, 20


def data(seed=7, n=900):
    random = np.random.default_rng(seed)
    x = pd.DataFrame(
        {
            "income": np.round(random.lognormal(6, 1, n)),
            "late": random.integers(0, 6, n).astype("float64"),
            "years": random.integers(0, 40, n).astype("float64"),
            "job": random.choice(["fixed", "part", "free", "none"], n, p=[0.5, 0.3, 0.15, 0.05]),
        }
    )
    x.loc[::7, "income"] = np.nan
    risk = (np.nan_to_num(x.income, nan=500) < 400) * 1.0 + (x.late == 0) * 1.5 + (x.job == "part") - x.years / 20
    return x, (risk + random.logistic(size=n) > 0.5).astype(int)


def case(name, table, rows, points, tolerance):
    """`tolerance`: half a unit of the last printed digit for each feature."""
    head = f"# pdo = {PDO}\n# base_points = {POINTS}\n# base_odds = {ODDS}\n"
    cell = lambda v: v if isinstance(v, str) else "" if np.isnan(v) else repr(float(v))  # noqa: E731
    return {
        "name": name,
        "table": head + table.to_csv(index=False),
        "columns": list(rows.columns),
        "rows": [[cell(v) for v in row] for row in rows.itertuples(index=False)],
        "points": [float(p) for p in points],
        "tolerance": tolerance,
    }


def at_edges(x, edges, column):
    rows = x.iloc[:60].copy()
    for i, edge in enumerate(edges):
        rows.iloc[2 * i + 1, rows.columns.get_loc(column)] = edge
    return rows


def scorecardpy(x, y):
    import scorecardpy as sc

    data = x.assign(bad=y)
    bins = sc.woebin(data, y="bad", print_step=0)
    woe = sc.woebin_ply(data, bins, print_step=0)
    regression = LogisticRegression(C=1e6).fit(woe.drop(columns="bad"), woe.bad)
    names = list(woe.drop(columns="bad").columns)
    card = sc.scorecard(bins, regression, names, points0=POINTS, odds0=1 / ODDS, pdo=PDO)
    edges = [float(edge) for edge in bins["income"].breaks if edge not in ("inf", "missing")]
    rows = at_edges(x, edges, "income")
    points = sc.scorecard_ply(rows, card, only_total_score=True).score
    return case("scorecardpy 0.1.9.7", pd.concat(card.values(), ignore_index=True), rows, points, 1e-9)


def toad(x, y):
    import toad

    x, y = x.dropna(), y[x.notna().all(axis=1)]
    combiner = toad.transform.Combiner()
    combiner.fit(x.assign(bad=y), y="bad", method="chi", min_samples=0.05)
    transformer = toad.transform.WOETransformer()
    woe = transformer.fit_transform(combiner.transform(x), y)
    card = toad.ScoreCard(
        combiner=combiner, transer=transformer, base_score=POINTS, base_odds=ODDS, pdo=PDO, rate=2, C=1e6
    )
    card.fit(woe, y)
    rows = at_edges(x, combiner.export()["income"], "income")
    return case(f"toad {toad.__version__}", card.export(to_frame=True), rows, card.predict(rows), 0.005 * len(x.columns))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    cases = [tool(*data()) for tool in (scorecardpy, toad)]
    out.write_text("[\n" + ",\n".join(json.dumps(c, allow_nan=False) for c in cases) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
