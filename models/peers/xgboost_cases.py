"""Models that XGBoost trained, with what XGBoost says about rows: what the importer is compared with.

    python xgboost_cases.py --out FOLDER [--seed N] [--models N] [--committed]

Everything is drawn from the seed. A case is one file: a line of JSON, then the bytes of the model, then
little-endian doubles: the rows (NaN is missing, a category is its code), the margins, the PDs, and for the
first `explained` rows the contributions with the bias last.
"""

import argparse
import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import xgboost as xgb

VERSION = xgb.__version__
MINOR = tuple(int(word) for word in VERSION.split(".")[:2])
warnings.filterwarnings("ignore")
xgb.set_config(verbosity=0)

OBJECTIVES = ["binary:logistic", "binary:logistic", "binary:logitraw", "reg:logistic"]


class Columns:
    """Columns of made-up data: how each is drawn, and of what type."""

    def __init__(self, random, count, categories, largest):
        self.kinds = []
        for _ in range(count):
            if categories and random.random() < 0.35:
                self.kinds.append(("c", int(random.integers(2, largest + 1))))
            else:
                kind = random.choice(["decimals", "normal", "heavy", "integer", "indicator", "tiny"])
                self.kinds.append((str(kind), 0))

    def types(self):
        plain = {"c": "c", "integer": "int", "indicator": "i"}
        return [plain.get(kind, "q") for kind, _ in self.kinds]

    def draw(self, random, rows, missing):
        columns = []
        for kind, levels in self.kinds:
            if kind == "c":
                x = random.integers(0, levels, rows).astype("float64")
            elif kind == "decimals":
                # As people write them: two decimals, which no f32 holds exactly.
                x = np.round(random.uniform(0, 100, rows), 2)
            elif kind == "normal":
                x = random.normal(size=rows)
            elif kind == "heavy":
                x = random.normal(size=rows) * 10.0 ** random.uniform(-3, 9, rows)
            elif kind == "integer":
                x = random.integers(-5, 40, rows).astype("float64")
            elif kind == "indicator":
                x = random.integers(0, 2, rows).astype("float64")
            else:
                # Down to the denormals of f32.
                x = random.normal(size=rows) * 10.0 ** random.uniform(-44, -36, rows)
            x[random.random(rows) < missing] = np.nan
            columns.append(x)
        return np.column_stack(columns)


def target(random, x, kinds):
    risk = np.zeros(len(x))
    for j, (kind, levels) in enumerate(kinds):
        column = x[:, j]
        if kind == "c":
            effect = random.normal(size=levels)
            part = np.where(np.isnan(column), random.normal(), effect[np.nan_to_num(column).astype(int)])
        else:
            order = np.argsort(np.argsort(np.nan_to_num(column)))
            part = random.normal() * (order / len(x) - 0.5) + np.where(np.isnan(column), random.normal(), 0)
        risk += part
    return (risk + random.logistic(size=len(x)) > np.quantile(risk, random.uniform(0.3, 0.95))).astype(int)


def matrix(x, y=None, types=None, names=None, weight=None):
    return xgb.DMatrix(
        x, y, weight=weight, feature_names=names, feature_types=types, enable_categorical=True, nthread=1
    )


def thresholds(document):
    """(feature, threshold) of every numerical split."""
    booster = document["learner"]["gradient_booster"]
    booster = booster.get("gbtree", booster)
    found = []
    for tree in booster["model"].get("trees", []):
        for left, feature, condition, kind in zip(
            tree["left_children"], tree["split_indices"], tree["split_conditions"], tree["split_type"]
        ):
            if left != -1 and kind == 0:
                found.append((feature, np.float32(condition)))
    return found


def edges(random, columns, document, rows):
    """Rows on thresholds, beside them in f32 and in f64, and far from anything the model has seen."""
    x = columns.draw(random, rows, 0.1)
    found = thresholds(document)
    if found:
        for i in range(rows):
            for _ in range(random.integers(1, 4)):
                feature, condition = found[random.integers(len(found))]
                beside = [
                    float(condition),
                    float(np.nextafter(condition, np.float32(np.inf))),
                    float(np.nextafter(condition, np.float32(-np.inf))),
                    float(np.nextafter(np.float64(condition), np.inf)),
                    float(np.nextafter(np.float64(condition), -np.inf)),
                    float(condition) * (1 + 3e-8),
                ]
                x[i, feature] = beside[random.integers(len(beside))]
    extremes = [0.0, -0.0, 3.4028234e38, -3.4028234e38, 1e-45, -1e-45, 1e-40, 5e-324, 1.1754944e-38, 1e30, -1e30]
    for i in range(rows):
        for j, (kind, levels) in enumerate(columns.kinds):
            if random.random() < 0.05:
                if kind == "c":
                    # A level that training did not see.
                    x[i, j] = levels + random.integers(0, 40)
                else:
                    x[i, j] = extremes[random.integers(len(extremes))]
    with np.errstate(over="ignore"):
        as_single = x.astype("float32")
    x[np.isinf(as_single)] = 0.0
    return x


def infinite(random, x, kinds):
    """Rows with infinities, for the predictor that takes them."""
    numbers = [j for j, (kind, _) in enumerate(kinds) if kind != "c"]
    if not numbers:
        return None
    x = x[:8].copy()
    for i in range(len(x)):
        x[i, numbers[random.integers(len(numbers))]] = [np.inf, -np.inf, 1e300, -1e300][i % 4]
    return x


def logistic(margins):
    """In extended precision, rounded once."""
    wide = margins.astype("longdouble")
    return (1 / (1 + np.exp(-wide))).astype("float64")


class Writer:
    def __init__(self, out):
        self.out, self.number = out, 0
        out.mkdir(parents=True, exist_ok=True)

    def case(self, name, model, encoding, iterations, kinds, x, margins, contributions, trees):
        margins = np.asarray(margins, dtype="float32")
        explained = 0 if contributions is None else len(contributions)
        header = {
            "name": name,
            "library": f"XGBoost {VERSION}",
            "format": "xgboost",
            "encoding": encoding,
            "iterations": iterations,
            "model_bytes": len(model),
            "rows": len(x),
            "columns": x.shape[1],
            "explained": explained,
            "levels": [levels for _, levels in kinds],
            "trees": trees,
        }
        path = self.out / f"{name}.case"
        with open(path, "wb") as file:
            file.write(json.dumps(header).encode() + b"\n" + model)
            file.write(np.ascontiguousarray(x, dtype="<f8").tobytes())
            file.write(margins.astype("<f8").tobytes())
            file.write(logistic(margins).astype("<f8").tobytes())
            if explained:
                file.write(np.ascontiguousarray(contributions, dtype="<f8").tobytes())
        self.number += 1


def saved(booster, encoding):
    """The bytes that the library saves, and the booster that it reads back from them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model.{encoding}"
        booster.save_model(path)
        again = xgb.Booster({"nthread": 1})
        again.load_model(path)
        return path.read_bytes(), again


def model(writer, name, random, rows=400, settings=None, limits=None, keep=None, categories=None):
    """Trains one model and writes its cases."""
    limits = {"features": 20, "rounds": 1000, "depth": 12, "levels": 200, **(limits or {})}
    booster_kind = random.choice(["gbtree", "gbtree", "gbtree", "gbtree", "dart", "gblinear"])
    rounds = int(np.exp(random.uniform(0, np.log(limits["rounds"]))))
    parameters = {
        "booster": str(booster_kind),
        "objective": str(random.choice(OBJECTIVES)),
        "max_depth": int(random.integers(1, limits["depth"] + 1)),
        "eta": float(random.choice([0.01, 0.1, 0.3, 1.0])),
        "lambda": float(random.choice([0, 1, 10])),
        "subsample": float(random.choice([0.5, 1.0])),
        "colsample_bytree": float(random.choice([0.5, 1.0])),
        "min_child_weight": float(random.choice([0, 1, 10])),
        "gamma": float(random.choice([0, 0, 0, 1, 1e6])),
        "scale_pos_weight": float(random.choice([1, 1, 5])),
        "max_cat_to_onehot": int(random.choice([1, 4, 300])),
        "num_parallel_tree": int(random.choice([1, 1, 1, 1, 3])),
        "nthread": 1,
        "seed": int(random.integers(1 << 30)),
    }
    if random.random() < 0.5:
        parameters["base_score"] = float(np.float32(random.choice([0.5, 0.01, random.uniform(0.001, 0.999)])))
    tree_method = str(random.choice(["hist", "hist", "approx", "exact"]))
    if random.random() < 0.25 and tree_method == "hist":
        parameters |= {"grow_policy": "lossguide", "max_leaves": int(random.integers(2, 64)), "max_depth": 0}
    early = random.random() < 0.25
    parameters |= settings or {}
    booster_kind = parameters["booster"]
    early = parameters.pop("early", early)
    rounds = parameters.pop("rounds", rounds)
    categories = booster_kind != "gblinear" and tree_method != "exact" if categories is None else categories
    if booster_kind == "gblinear":
        parameters = {k: v for k, v in parameters.items() if k not in ("max_depth", "gamma", "num_parallel_tree", "max_cat_to_onehot", "grow_policy", "max_leaves", "subsample", "colsample_bytree", "min_child_weight")}
        parameters |= {"updater": "coord_descent", "feature_selector": "cyclic"}
        if random.random() < 0.3:
            parameters["alpha"] = 0.05
    else:
        parameters.setdefault("tree_method", tree_method)
    if booster_kind == "dart":
        rounds = min(rounds, 60)
        parameters |= {
            "rate_drop": float(random.choice([0.1, 0.5])),
            "normalize_type": str(random.choice(["tree", "forest"])),
            "one_drop": int(random.integers(2)),
        }
    # Deep and many at once takes minutes: the product is bounded, not either.
    if parameters.get("max_depth", 6) > 8:
        rounds = min(rounds, 150)
    columns = Columns(random, int(random.integers(1, limits["features"] + 1)), categories, limits["levels"])
    if booster_kind == "gblinear":
        columns.kinds = [(k if k != "heavy" and k != "tiny" else "normal", 0) for k, _ in columns.kinds]
    missing = float(random.choice([0, 0, 0.1, 0.5, 0.9]))
    x = columns.draw(random, rows, missing)
    y = target(random, x, columns.kinds)
    if random.random() < 0.03:
        y[:] = 0 if random.random() < 0.5 else 1
        parameters.setdefault("base_score", 0.3)
    weight = None
    if random.random() < 0.15:
        weight = random.choice([0.0, 1.0, 2.0], rows)
    types = columns.types()
    names = [f"c{j}" for j in range(len(types))] if random.random() < 0.7 else None
    half = rows * 2 // 3
    train = matrix(x[:half], y[:half], types, names, None if weight is None else weight[:half])
    extra = {}
    if early and booster_kind != "gblinear":
        held = matrix(x[half:], y[half:], types, names)
        extra = {"evals": [(held, "held")], "early_stopping_rounds": int(random.integers(1, 20)), "verbose_eval": False}
    booster = xgb.train(parameters, train, rounds, **extra)
    document = json.loads(bytes(booster.save_raw("json")))
    probes = edges(random, columns, document, rows // 2)
    if booster_kind == "gblinear":
        # Huge inputs would exceed what a part of a margin may be.
        probes = columns.draw(random, rows // 2, missing)
    x = np.concatenate([x[half:], probes])
    if keep:
        x = x[random.permutation(len(x))[:keep]]
    for encoding in ["json", "ubj"] if random.random() < 0.2 else [str(random.choice(["json", "ubj"]))]:
        data, again = saved(booster, encoding)
        trees = len(again.get_dump()) if booster_kind != "gblinear" else 0
        # Explanations cost the library the most.
        share = min(len(x), 4 if keep or trees * 2 ** min(parameters.get("max_depth", 6) or 6, 8) > 20000 else 16)
        for iterations in ["best", "all"] if extra else ["all"]:
            range_ = (0, 0)
            if iterations == "best":
                range_ = (0, int(booster.best_iteration) + 1)
            m = matrix(x, None, types, names)
            margins = again.predict(m, output_margin=True, iteration_range=range_)
            few = matrix(x[:share], None, types, names)
            contributions = again.predict(few, pred_contribs=True, iteration_range=range_)
            writer.case(f"{name}-{encoding}-{iterations}", data, encoding, iterations, columns.kinds, x, margins, contributions, trees)
    # Only this predictor takes infinities; for dart it rounds in another order than predict does.
    far = infinite(random, x, columns.kinds) if booster_kind == "gbtree" and not keep else None
    if far is not None:
        try:
            with np.errstate(over="ignore"):
                margins = again.inplace_predict(far.astype("float32"), predict_type="margin", validate_features=False)
        except xgb.core.XGBoostError:
            return
        writer.case(f"{name}-far", data, encoding, "all", columns.kinds, far, margins, None, trees)


def named(writer, name, random):
    """Categories as texts, which models hold from 3.1 on."""
    if MINOR < (3, 1):
        return
    # Not before: the versions above want a NumPy that this pandas refuses.
    import pandas as pd

    n = 300
    levels = [f"nivel {i}" if i % 3 else f"ñandú {i}" for i in range(int(random.integers(2, 12)))]
    # As plain objects: not every version knows pandas' own texts.
    order = pd.Index([str(level) for level in random.permutation(levels)], dtype=object)
    zones = np.array([str(level) for level in random.choice(levels, n)], dtype=object)
    frame = pd.DataFrame(
        {
            "Monto": np.round(random.uniform(1, 100, n), 2),
            "Zona": pd.Categorical(zones, categories=order),
            "Grupo": pd.Categorical(random.choice([30, 10, 20], n), categories=[30, 10, 20]),
        }
    )
    frame.loc[random.random(n) < 0.1, "Zona"] = np.nan
    y = ((frame["Zona"].cat.codes % 2 == 0) * 1.5 + frame["Monto"] / 60 + random.logistic(size=n) > 1.5).astype(int)
    booster = xgb.train(
        {"objective": "binary:logistic", "max_depth": 4, "nthread": 1, "max_cat_to_onehot": 1},
        xgb.DMatrix(frame, y, enable_categorical=True, nthread=1),
        int(random.integers(2, 12)),
    )
    encoding = str(random.choice(["json", "ubj"]))
    data, again = saved(booster, encoding)
    few = frame.iloc[:24]
    m = xgb.DMatrix(few, enable_categorical=True, nthread=1)
    x = np.column_stack(
        [few["Monto"], few["Zona"].cat.codes.replace(-1, np.nan), few["Grupo"].cat.codes.replace(-1, np.nan)]
    ).astype("float64")
    kinds = [("decimals", 0), ("c", 0), ("c", 0)]
    writer.case(
        f"{name}-named", data, encoding, "all", kinds, x, again.predict(m, output_margin=True), again.predict(m, pred_contribs=True), len(again.get_dump())
    )


def committed(writer):
    """A few small models, one for each trap; of the older versions, those whose files differ."""
    small = {"features": 4, "rounds": 6, "depth": 4, "levels": 8}
    newest = MINOR == (3, 2)
    base = {"objective": "binary:logistic", "gamma": 0.0, "num_parallel_tree": 1, "early": False, "scale_pos_weight": 1.0, "rounds": 5, "max_depth": 3}
    cases = {
        "tree": {"booster": "gbtree"},
        "raw": {"booster": "gbtree", "objective": "binary:logitraw", "base_score": 0.25},
        "regression": {"booster": "gbtree", "objective": "reg:logistic", "base_score": 0.7},
        "dart": {"booster": "dart", "rounds": 8},
        "linear": {"booster": "gblinear", "rounds": 10},
        "parallel": {"booster": "gbtree", "num_parallel_tree": 3, "rounds": 2},
        "early": {"booster": "gbtree", "early": True, "rounds": 14, "eta": 1.0},
        "constant": {"booster": "gbtree", "gamma": 1e6},
        "onehot": {"booster": "gbtree", "max_cat_to_onehot": 300},
        "sets": {"booster": "gbtree", "max_cat_to_onehot": 1},
    }
    for seed, (name, settings) in enumerate(cases.items()):
        if not newest and name not in ("raw", "dart", "linear", "sets"):
            continue
        categories = True if name in ("onehot", "sets", "dart") else None
        model(writer, f"xgboost-{VERSION}-{name}", np.random.default_rng(100 + seed), 300, {**base, **settings, "grow_policy": "depthwise", "tree_method": "hist"}, small, 24, categories)
    named(writer, f"xgboost-{VERSION}", np.random.default_rng(99))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--committed", action="store_true")
    arguments = parser.parse_args()
    writer = Writer(arguments.out)
    if arguments.committed:
        committed(writer)
    else:
        for i in range(arguments.models):
            random = np.random.default_rng([arguments.seed, i])
            if i % 25 == 24:
                named(writer, f"{VERSION}-{arguments.seed}-{i}", random)
            else:
                model(writer, f"{VERSION}-{arguments.seed}-{i}", random, int(random.choice([60, 300, 800])))
    print(f"{writer.number} cases of XGBoost {VERSION}")


if __name__ == "__main__":
    main()
