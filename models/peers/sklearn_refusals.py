"""What models/python/vereda_sklearn.py refuses, each with its reason: a pipeline that the document cannot say exactly.

    python models/peers/sklearn_refusals.py
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, PolynomialFeatures, QuantileTransformer, StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

import vereda_sklearn  # noqa: E402


def main():
    random = np.random.default_rng(5)
    x = pd.DataFrame({"income": random.lognormal(6, 1, 200), "years": random.integers(0, 9, 200) * 1.0})
    y = (x.income < 400).astype(int)
    three = y + (x.years > 6)
    logit = LogisticRegression
    cases = [
        (make_pipeline(PolynomialFeatures(), logit()), x, y, {}, "PolynomialFeatures"),
        (make_pipeline(QuantileTransformer(n_quantiles=50), logit()), x, y, {}, "QuantileTransformer"),
        (make_pipeline(MinMaxScaler(), logit()), x, y, {}, "MinMaxScaler"),
        (make_pipeline(KNNImputer(), logit()), x, y, {}, "KNNImputer"),
        (make_pipeline(SimpleImputer(add_indicator=True), logit()), x.mask(x.years == 3), y, {}, "add_indicator"),
        (make_pipeline(StandardScaler(), StandardScaler(), logit()), x, y, {}, "scaled twice"),
        (make_pipeline(StandardScaler(), SimpleImputer(), logit()), x, y, {}, "an imputer after a scaler"),
        (make_pipeline(StandardScaler(), RandomForestClassifier(3)), x, y, {}, "not a LogisticRegression"),
        (make_pipeline(StandardScaler(), logit()), x, three, {}, "two"),
        (make_pipeline(StandardScaler(), logit()), x, y, {"bad": 7}, "none of the classes"),
        (make_pipeline(StandardScaler(), logit()), x.to_numpy(), y, {}, "DataFrame"),
        (make_pipeline(OneHotEncoder(), StandardScaler(with_mean=False), logit()), x.astype(str), y, {}, "after one-hot"),
        (
            make_pipeline(ColumnTransformer([("a", StandardScaler(), ["income"]), ("b", "passthrough", ["income"])]), logit()),
            x,
            y,
            {},
            "used twice",
        ),
    ]
    for pipeline, data, target, arguments, says in cases:
        try:
            vereda_sklearn.document(pipeline.fit(data, target), **arguments)
        except vereda_sklearn.Unsupported as refused:
            assert says in str(refused), f"{says!r} is not in {refused}"
        else:
            raise AssertionError(f"{says}: written, not refused")
    print(f"{len(cases)} pipelines refused, each with its reason")


if __name__ == "__main__":
    main()
