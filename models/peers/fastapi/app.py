"""The usual choice: a model of XGBoost behind FastAPI. It takes the body of our `POST /api/predict`,
validates it, predicts, answers the PD and stores nothing. No token is asked for.

Started by gunicorn with uvicorn's workers; `MODEL` in the environment names the booster's file.
"""

import os
from typing import Annotated, Literal

import numpy as np
import xgboost as xgb
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

JOBS = ("fixed", "part_time", "freelance", "other")
HOMES = ("rent", "owner", "private", "ignore", "parents", "other")
JOB_CODE = {job: float(code) for code, job in enumerate(JOBS)}
HOME_CODE = {home: float(code) for code, home in enumerate(HOMES)}
NAN = float("nan")


def whole(least: int, most: int):
    return Annotated[int, Field(ge=least, le=most)]


class Features(BaseModel):
    """The questions and bounds of the reference bundle's schema."""

    model_config = ConfigDict(extra="forbid")

    amount: whole(50, 20_000)
    term_months: whole(1, 120)
    price: whole(50, 50_000)
    job: Literal[JOBS] | None = None
    seniority_years: whole(0, 60)
    income: whole(0, 5_000) | None = None
    home: Literal[HOMES] | None = None
    expenses: whole(0, 2_000)
    assets: whole(0, 500_000) | None = None
    debt: whole(0, 100_000) | None = None
    records: bool


class Predict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    features: Features
    client_ref: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class Prediction(BaseModel):
    probability: float


booster = xgb.Booster(model_file=os.environ["MODEL"])
# One thread for each worker: as many workers as cores share the machine better than threads do for one row.
booster.set_param({"nthread": 1})

app = FastAPI(openapi_url=None)


def number(value: int | None) -> float:
    return NAN if value is None else float(value)


# async: a prediction takes less time than handing it to a pool of threads and back.
@app.post("/api/predict")
async def predict(request: Predict) -> Prediction:
    f = request.features
    row = np.array(
        [
            [
                f.amount,
                f.term_months,
                f.price,
                JOB_CODE.get(f.job, NAN),
                f.seniority_years,
                number(f.income),
                HOME_CODE.get(f.home, NAN),
                f.expenses,
                number(f.assets),
                number(f.debt),
                f.records,
            ]
        ],
        dtype=np.float32,
    )
    # Without a DMatrix, and without comparing names, which are the same in every request.
    pd = booster.inplace_predict(row, validate_features=False)
    return Prediction(probability=float(pd[0]))
