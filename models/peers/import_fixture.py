"""What the tests of `vereda-model import` read: a model that XGBoost trained on most of es-credit-4k as an
analyst would, and the rest of the rows with the outcome and XGBoost's own margins.

    python import_fixture.py --data ../data/es-credit-4k/CreditScoring.csv --out ../tests/data/import
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost as xgb

HOME = {1: "rent", 2: "owner", 3: "private", 4: "ignore", 5: "parents", 6: "other"}
JOB = {1: "fixed", 2: "part time", 3: "freelance", 4: "other"}
UNKNOWN = 99_999_999


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.data)
    table = table[table["Status"] != 0].reset_index(drop=True)
    known = lambda name: table[name].where(table[name] != UNKNOWN).astype("float64")  # noqa: E731
    text = lambda name, words: pd.Categorical(  # noqa: E731
        table[name].map(words), categories=pd.Index(list(words.values()), dtype=object)
    )
    x = pd.DataFrame(
        {
            "Amount": table["Amount"].astype("float64"),
            "Loan Term": table["Time"],
            "Home": text("Home", HOME),
            "Job": text("Job", JOB),
            "Income": known("Income"),
            "Seniority": table["Seniority"],
            "Records": table["Records"] == 2,
        }
    )
    y = (table["Status"] == 2).astype(int).to_numpy()
    held = np.arange(len(x)) % 3 == 0
    matrix = lambda rows: xgb.DMatrix(x[rows], y[rows], enable_categorical=True, nthread=1)  # noqa: E731
    parameters = {
        "objective": "binary:logistic",
        "max_depth": 3,
        "eta": 0.2,
        "monotone_constraints": {"Amount": 1, "Seniority": -1},
        "nthread": 1,
        "seed": 1,
    }
    booster = xgb.train(parameters, matrix(~held), 30)
    arguments.out.mkdir(parents=True, exist_ok=True)
    booster.save_model(arguments.out / "model.ubj")
    rows = x[held].copy()
    rows["Records"] = rows["Records"].map({True: "true", False: "false"})
    rows["Bad"] = y[held]
    margins = booster.predict(matrix(held), output_margin=True)
    # The shortest digits that give the f32 back.
    rows["margin"] = [str(margin) for margin in margins]
    rows["Income"] = rows["Income"].astype("Int64")
    rows["Amount"] = rows["Amount"].astype("Int64")
    rows.to_csv(arguments.out / "rows.csv", index=False, lineterminator="\n")
    print(f"{len(rows)} rows, {len(booster.get_dump())} trees")


if __name__ == "__main__":
    main()
