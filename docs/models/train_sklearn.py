"""Trains a scikit-learn logistic regression on a credit table, and keeps rows apart for calibration and for proof.

    python docs/models/train_sklearn.py models/data/es-credit-4k/CreditScoring.csv OUT_FOLDER
"""

import pathlib
import sys

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

# The exporter needs nothing of Vereda; copied beside a script of your own, it is imported as it is.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "models/python"))
import vereda_sklearn  # noqa: E402

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
        "job": job.astype(object), "home": home.astype(object),
        "seniority_years": data.Seniority, "income": data.Income, "expenses": data.Expenses,
        "assets": data.Assets, "debt": data.Debt, "records": (data.Records == 2).astype(int),
    }
)  # fmt: skip
texts = ["job", "home"]
numbers = [name for name in features if name not in texts]

train, rest, bad_train, bad_rest = train_test_split(features, bad, test_size=0.4, random_state=1, stratify=bad)
pipeline = Pipeline(
    [
        (
            "columns",
            ColumnTransformer(
                [
                    ("numbers", Pipeline([("fill", SimpleImputer(strategy="median")), ("scale", StandardScaler())]), numbers),
                    ("texts", OneHotEncoder(drop="first", handle_unknown="ignore"), texts),
                ]
            ),
        ),
        ("regression", LogisticRegression(max_iter=2000)),
    ]
).fit(train, bad_train)
vereda_sklearn.export(pipeline, out / "model.json", bad=1)

# Half of the rest calibrates the PDs; the other half proves what came out.
calibrate, test = rest.iloc[::2], rest.iloc[1::2]
calibrate.assign(bad=bad_rest.iloc[::2]).to_csv(out / "calibrate.csv", index=False)
test.assign(bad=bad_rest.iloc[1::2]).to_csv(out / "test.csv", index=False)
# What scikit-learn itself says, in all its digits: the bundle must say the same within the rounding of the sum.
margin = pipeline.decision_function(test)
test.assign(margin=[repr(float(x)) for x in margin]).head(100).to_csv(out / "golden.csv", index=False)
