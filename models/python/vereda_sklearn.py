"""Writes a fitted scikit-learn pipeline as the JSON that `vereda-model import --format sklearn` reads.

    from vereda_sklearn import export
    export(pipeline, "model.json", bad=1)

The pipeline is scalers, one-hot encoders and imputers, by themselves or in a ColumnTransformer, and then a
LogisticRegression with two classes, fitted on a pandas DataFrame. Anything else is refused with the reason:
what this file does not know to be the same model, it does not write.

It needs scikit-learn 1.2 or later and numpy; nothing of Vereda.

The document
------------
{"format": "vereda-sklearn", "format_version": 1, "library": "scikit-learn 1.9.1", "intercept": -1.5,
 "columns": [
   {"column": "income", "kind": "number", "coefficient": -0.4, "mean": 900.0, "scale": 310.0, "missing": 850.0},
   {"column": "job", "kind": "category", "options": ["fixed", "other"], "weights": [-0.2, 0.1],
    "missing": 0.1, "unseen": 0.0}]}

The margin (log-odds of default) is the intercept plus, for a number, coefficient * ((x - mean) / scale), and,
for a category, the weight of its option. `missing` is the number that stands in for a missing one, or the
weight of a missing answer; `unseen` is the weight of any other text; null means refused.
"""

import json
import math


class Unsupported(Exception):
    """The pipeline has something that the document cannot say."""


def export(pipeline, path, bad=1):
    """Writes the document of a fitted pipeline; `bad` is the class label that means default."""
    text = json.dumps(document(pipeline, bad), ensure_ascii=False, allow_nan=False, indent=1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def document(pipeline, bad=1):
    """The document of a fitted pipeline, as a dict."""
    import sklearn

    steps, model = split(pipeline)
    columns = list(getattr(pipeline, "feature_names_in_", []))
    if not columns or not all(isinstance(name, str) for name in columns):
        raise Unsupported("the pipeline was not fitted on a DataFrame with named columns")
    sign, coefficients, intercept = regression(model, bad)
    outputs = groups(steps, columns)
    if len(outputs) != len(coefficients):
        raise Unsupported(f"the steps give {len(outputs)} columns and the regression has {len(coefficients)}")
    parts = {}
    for (column, output), coefficient in zip(outputs, coefficients):
        kind = "number" if isinstance(output, Number) else "category"
        if column in parts and (kind == "number" or parts[column][0] == "number"):
            raise Unsupported(f"the column {column!r} is used twice")
        parts.setdefault(column, (kind, []))[1].append((output, sign * float(coefficient)))
    written = []
    for column, (kind, used) in parts.items():
        written.append({"column": column, "kind": kind, **(number(used) if kind == "number" else category(column, used))})
    if not written:
        raise Unsupported("the regression uses no column")
    return {
        "format": "vereda-sklearn",
        "format_version": 1,
        "library": f"scikit-learn {sklearn.__version__}",
        "intercept": sign * intercept,
        "columns": written,
    }


def split(pipeline):
    """The steps before the regression, and the regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

    if not isinstance(pipeline, Pipeline):
        raise Unsupported(f"{type(pipeline).__name__} is not a Pipeline")
    *steps, model = [step for _, step in pipeline.steps]
    if not isinstance(model, LogisticRegression):
        raise Unsupported(f"{type(model).__name__} is not a LogisticRegression")
    return steps, model


def regression(model, bad):
    """1 or -1, the coefficients, the intercept: as the model has them for classes_[1]."""
    classes = list(model.classes_)
    if len(classes) != 2 or model.coef_.shape[0] != 1:
        raise Unsupported(f"the classes are {classes}: a probability of default has two")
    if bad not in classes:
        raise Unsupported(f"bad={bad!r} is none of the classes {classes}")
    if str(model.coef_.dtype) != "float64":
        raise Unsupported(f"the coefficients are {model.coef_.dtype}: fit on float64")
    # The regression speaks of the second class in alphabetical order: "good" comes after "bad".
    sign = 1.0 if classes[1] == bad else -1.0
    return sign, model.coef_[0], float(model.intercept_[0])


class Number:
    """A numeric column on its way to the regression: (x - mean) / scale, and what stands in for missing."""

    def __init__(self):
        self.mean, self.scale, self.missing, self.scaled = 0.0, 1.0, None, False


class Code:
    """One column of a one-hot encoding: the options that it is 1 for."""

    def __init__(self, options, missing, rest):
        self.options, self.missing, self.rest = options, missing, rest


def groups(steps, columns):
    """What each column of the regression is made of: [(column of the data, Number or Code)]."""
    from sklearn.compose import ColumnTransformer

    if steps and isinstance(steps[0], ColumnTransformer):
        outputs = []
        for name, transformer, chosen in steps[0].transformers_:
            if isinstance(transformer, str) and transformer == "drop":
                continue
            chosen = names(chosen, columns, name)
            outputs += flow([] if transformer == "passthrough" else inner(transformer), chosen, name)
        if steps[0].sparse_output_ and steps[1:]:
            raise Unsupported("steps after a sparse ColumnTransformer")
        return after(steps[1:], outputs)
    return flow(steps, columns, "the pipeline")


def inner(transformer):
    from sklearn.pipeline import Pipeline

    return [step for _, step in transformer.steps] if isinstance(transformer, Pipeline) else [transformer]


def names(chosen, columns, name):
    if isinstance(chosen, str):
        chosen = [chosen]
    chosen = list(chosen) if not isinstance(chosen, slice) else columns[chosen]
    if chosen and all(isinstance(c, (bool,)) or str(type(c).__name__) == "bool_" for c in chosen):
        return [column for column, use in zip(columns, chosen) if use]
    found = [c if isinstance(c, str) else columns[int(c)] for c in chosen]
    if any(c not in columns for c in found):
        raise Unsupported(f"{name}: its columns {found} are not all in the data")
    return found


def after(steps, outputs):
    """Steps behind a ColumnTransformer: scalers over everything."""
    for step in steps:
        if is_nothing(step):
            continue
        for i, (column, output) in enumerate(outputs):
            if not isinstance(output, Number):
                raise Unsupported(f"{type(step).__name__} after one-hot encoding changes the 0 and 1 of {column!r}")
            scale(step, i, output, column)
    return outputs


def is_nothing(step):
    # A fitted ColumnTransformer keeps "passthrough" as a FunctionTransformer without a function.
    identity = type(step).__name__ == "FunctionTransformer" and step.func is None
    return step is None or identity or (isinstance(step, str) and step == "passthrough")


def flow(steps, columns, place):
    """One group of columns through its steps."""
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    outputs = [(column, Number()) for column in columns]
    fill, encoded = None, False
    for step in steps:
        if is_nothing(step):
            continue
        if encoded:
            raise Unsupported(f"{place}: {type(step).__name__} after one-hot encoding")
        if isinstance(step, SimpleImputer):
            fill = fills(step, columns, place)
            for (column, output), value in zip(outputs, fill):
                if output.scaled:
                    raise Unsupported(f"{place}: an imputer after a scaler: put it before")
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    output.missing = float(value)
        elif isinstance(step, OneHotEncoder):
            outputs, encoded = one_hot(step, columns, fill, place), True
        else:
            for i, (column, output) in enumerate(outputs):
                scale(step, i, output, column)
    return outputs


def fills(step, columns, place):
    if step.add_indicator:
        raise Unsupported(f"{place}: SimpleImputer with add_indicator=True")
    if not (isinstance(step.missing_values, float) and math.isnan(step.missing_values)) and step.missing_values is not None:
        raise Unsupported(f"{place}: SimpleImputer with missing_values={step.missing_values!r}")
    values = [v.item() if hasattr(v, "item") else v for v in step.statistics_]
    for column, value in zip(columns, values):
        if isinstance(value, float) and math.isnan(value):
            raise Unsupported(f"{place}: the imputer drops {column!r}, which was empty in training")
    return values


def scale(step, i, output, column):
    """(x - centre) / spread, as these scalers compute it."""
    from sklearn.preprocessing import MaxAbsScaler, RobustScaler, StandardScaler

    if isinstance(step, StandardScaler):
        mean = float(step.mean_[i]) if step.with_mean else 0.0
        spread = float(step.scale_[i]) if step.with_std else 1.0
    elif isinstance(step, RobustScaler):
        mean = float(step.center_[i]) if step.with_centering else 0.0
        spread = float(step.scale_[i]) if step.with_scaling else 1.0
    elif isinstance(step, MaxAbsScaler) and not getattr(step, "clip", False):
        mean, spread = 0.0, float(step.scale_[i])
    else:
        raise Unsupported(
            f"{type(step).__name__} on {column!r}: StandardScaler, RobustScaler, MaxAbsScaler, SimpleImputer and "
            "OneHotEncoder are known"
        )
    if output.scaled:
        raise Unsupported(f"{column!r} is scaled twice")
    output.mean, output.scale, output.scaled = mean, spread, True


def is_missing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def one_hot(step, columns, fill, place):
    """The columns that the encoder makes, each with the options that it is 1 for."""
    if step.handle_unknown not in ("error", "ignore", "infrequent_if_exist", "warn"):
        raise Unsupported(f"{place}: OneHotEncoder with handle_unknown={step.handle_unknown!r}")
    outputs = []
    infrequent_all = getattr(step, "infrequent_categories_", None) or [None] * len(columns)
    for i, column in enumerate(columns):
        categories = [c.item() if hasattr(c, "item") else c for c in step.categories_[i]]
        infrequent = infrequent_all[i] if i < len(infrequent_all) else None
        rare = set() if infrequent is None else {c.item() if hasattr(c, "item") else c for c in infrequent}
        # The encoder's own order: frequent categories, then one column for the infrequent.
        slots = [[c] for c in categories if c not in rare] + ([[c for c in categories if c in rare]] if rare else [])
        dropped = None if step.drop_idx_ is None else step.drop_idx_[i]
        if dropped is not None and rare:
            raise Unsupported(f"{place}: OneHotEncoder with drop and infrequent categories on {column!r}")
        known = {"error": None, "ignore": "none", "warn": "rare", "infrequent_if_exist": "rare"}[step.handle_unknown]
        if known == "rare" and not rare:
            known = "none"
        if fill is not None and any(is_missing(c) for c in categories):
            # It fills NaN and leaves None, which then is a category of its own.
            raise Unsupported(f"{place}: {column!r} has None, which the imputer does not fill: train with NaN instead")
        if fill is None:
            missing = "seen" if any(is_missing(c) for c in categories) else known
        else:
            missing = "fill" if fill[i] in categories else known
        for at, slot in enumerate(slots):
            code = Code(
                options=[] if at == dropped else [c for c in slot if not is_missing(c)],
                missing=(missing == "seen" and any(is_missing(c) for c in slot))
                or (missing == "fill" and fill[i] in slot)
                or (missing == "rare" and rare and at == len(slots) - 1),
                rest=known == "rare" and at == len(slots) - 1,
            )
            code.all = [c for c in slot if not is_missing(c)]
            code.known, code.missing_known = known, missing
            if at == dropped:
                outputs.append((column, code, True))
            else:
                outputs.append((column, code, False))
    # A dropped category has no column in the regression; its options weigh nothing.
    kept = []
    for column in dict.fromkeys(columns):
        mine = [(code, dropped) for name, code, dropped in outputs if name == column]
        lost = [option for code, dropped in mine if dropped for option in code.all]
        used = [code for code, dropped in mine if not dropped]
        if not used:
            continue
        used[0].free = lost
        kept += [(column, code) for code in used]
    return kept


def number(used):
    ((output, coefficient),) = used
    return {"coefficient": coefficient, "mean": output.mean, "scale": output.scale, "missing": output.missing}


def text(value, column):
    """An option as a CSV file has it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or isinstance(value, (int, float)):
        return str(value)
    raise Unsupported(f"{column!r} has the category {value!r}, which is neither text nor number")


def category(column, used):
    weights = {}
    first = used[0][0]
    missing = None if first.missing_known is None else 0.0
    unseen = None if first.known is None else 0.0
    for code, coefficient in used:
        for option in code.all:
            weights[text(option, column)] = coefficient
        if code.missing:
            missing = coefficient
        if code.rest:
            unseen = coefficient
    for option in getattr(first, "free", []):
        weights[text(option, column)] = 0.0
    return {"options": list(weights), "weights": list(weights.values()), "missing": missing, "unseen": unseen}
