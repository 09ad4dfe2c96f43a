"""Trains an XGBoost model on a credit table, and keeps rows apart for calibration and for proof.

    python docs/models/train_xgboost.py models/data/es-credit-4k/CreditScoring.csv OUT_FOLDER
"""

import pathlib
import sys

import numpy as np
import pandas as pd
import xgboost as xgb
from sklearn.model_selection import train_test_split

table, out = sys.argv[1], pathlib.Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)

data = pd.read_csv(table).replace(99999999, np.nan)
data = data[data.Status > 0]
bad = (data.Status == 2).astype(int).rename("bad")
home = data.Home.map({1: "rent", 2: "owner", 3: "private", 4: "ignore", 5: "parents", 6: "other"})
job = data.Job.map({1: "fixed", 2: "part_time", 3: "freelance", 4: "other"})
features = pd.DataFrame(
    {
        "amount": data.Amount, "term_months": data.Time, "price": data.Price,
        "job": job.astype("category"), "home": home.astype("category"),
        "seniority_years": data.Seniority, "income": data.Income, "expenses": data.Expenses,
        "assets": data.Assets, "debt": data.Debt, "records": (data.Records == 2).astype(int),
    }
)  # fmt: skip

train, rest, bad_train, bad_rest = train_test_split(features, bad, test_size=0.4, random_state=1, stratify=bad)
model = xgb.train(
    {"objective": "binary:logistic", "max_depth": 4, "eta": 0.08, "seed": 1, "tree_method": "hist"},
    xgb.DMatrix(train, label=bad_train, enable_categorical=True),
    num_boost_round=150,
)
model.save_model(out / "model.ubj")

# Half of the rest calibrates the PDs; the other half proves what came out.
calibrate, test = rest.iloc[::2], rest.iloc[1::2]
calibrate.assign(bad=bad_rest.iloc[::2]).to_csv(out / "calibrate.csv", index=False)
test.assign(bad=bad_rest.iloc[1::2]).to_csv(out / "test.csv", index=False)
# What XGBoost itself says, in all its digits: the bundle must say the same, to the bit.
margin = model.predict(xgb.DMatrix(test, enable_categorical=True), output_margin=True)
test.assign(margin=[repr(float(x)) for x in margin]).head(100).to_csv(out / "golden.csv", index=False)
