"""Reads es-credit-4k into the features of the schema.

One place maps the file's codes to the schema's: everything after it sees a table with the schema's
names, numbers as float64, categories as the index of their option, and NaN for missing.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

MISSING_MONEY = 99_999_999

# Schema name -> column of the file, in the order of the schema (which is the order of the form).
COLUMNS = {
    "amount": "Amount",
    "term_months": "Time",
    "price": "Price",
    "job": "Job",
    "seniority_years": "Seniority",
    "income": "Income",
    "home": "Home",
    "expenses": "Expenses",
    "assets": "Assets",
    "debt": "Debt",
    "records": "Records",
}
FEATURES = list(COLUMNS)
CATEGORIES = {
    "job": ["fixed", "part_time", "freelance", "other"],
    "home": ["rent", "owner", "private", "ignore", "parents", "other"],
}
BOOLEANS = ["records"]
MISSING_ALLOWED = ["job", "income", "home", "assets", "debt"]

# Which way the risk moves as a number grows, where the domain leaves no doubt: 1 rises, -1 falls.
# A dearer good at the same amount means a larger down payment.
DIRECTIONS = {
    "amount": 1,
    "term_months": 1,
    "price": -1,
    "seniority_years": -1,
    "income": -1,
    "expenses": 1,
    "assets": -1,
    "debt": 1,
    "records": 1,
}

MARITAL = {1: "single", 2: "married", 3: "widowed", 4: "separated", 5: "divorced"}


@dataclass(frozen=True)
class Data:
    """The rows with a known outcome."""

    x: pd.DataFrame  # the features, in the order of the schema
    y: np.ndarray  # 1 = bad
    audit: pd.DataFrame  # age and marital status: never seen by a model
    sha256: str  # of the file


def load(path: Path) -> Data:
    raw = path.read_bytes()
    table = pd.read_csv(path)
    table = table[table["Status"] != 0].reset_index(drop=True)
    x = pd.DataFrame({name: table[column].astype("float64") for name, column in COLUMNS.items()})
    for name in ("income", "assets", "debt"):
        x[name] = x[name].where(x[name] != MISSING_MONEY)
    for name in CATEGORIES:
        # Codes start at 1, and 0 is missing.
        x[name] = x[name].where(x[name] != 0) - 1
    x["records"] = x["records"] - 1  # 1 = none, 2 = there are
    for name in FEATURES:
        if name not in MISSING_ALLOWED and x[name].isna().any():
            raise SystemExit(f"{path}: {name} has missing values, which the schema does not allow")
    audit = pd.DataFrame(
        {
            "age": pd.cut(
                table["Age"], [0, 25, 35, 45, 55, 200], labels=["18-25", "26-35", "36-45", "46-55", "56+"]
            ).astype(str),
            "marital": table["Marital"].map(MARITAL).fillna("not stated"),
        }
    )
    return Data(x, (table["Status"] == 2).to_numpy().astype("int64"), audit, hashlib.sha256(raw).hexdigest())


def inputs(row: pd.Series) -> dict:
    """One row as the inputs of a bundle."""
    answers = {}
    for name in FEATURES:
        value = row[name]
        if np.isnan(value):
            answers[name] = None
        elif name in CATEGORIES:
            answers[name] = CATEGORIES[name][int(value)]
        elif name in BOOLEANS:
            answers[name] = bool(value)
        else:
            answers[name] = int(value)
    return answers
