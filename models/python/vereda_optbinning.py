"""Writes a fitted OptBinning Scorecard as the JSON that `vereda-model import --format scorecard` reads.

    from vereda_optbinning import export
    export(scorecard, "model.json")

OptBinning saves a Scorecard as a pickle only; each of its variables can write itself as JSON (`to_json`). The
document holds these, as they are, with what the scorecard adds: the coefficients, and the WoE that it really
gives to each bin, to missing and special values, and to unseen categories. The points are not written: they
are rounded for display, and follow from the coefficients, the WoE and the scaling.

It needs optbinning 0.19 or later; nothing of Vereda.
"""

import json

import numpy as np


class Unsupported(Exception):
    """The scorecard has something that the document cannot say."""


def export(scorecard, path):
    """Writes the document of a fitted scorecard."""
    text = json.dumps(document(scorecard), ensure_ascii=False, indent=1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def document(scorecard):
    """The document of a fitted scorecard, as a dict."""
    import optbinning

    model, process = scorecard.estimator_, scorecard.binning_process_
    if not hasattr(model, "decision_function") or not hasattr(model, "coef_"):
        raise Unsupported(f"{type(model).__name__} is not a logistic regression")
    if [int(c) for c in model.classes_] != [0, 1]:
        raise Unsupported(f"the classes are {list(model.classes_)}: 1 must mean default, and 0 not")
    variables = []
    for name, coefficient in zip(process.get_support(names=True), model.coef_.flatten()):
        binning = process.get_binned_variable(name)
        own = (process.binning_transform_params or {}).get(name, {})
        variables.append(
            {
                "name": str(name),
                "coefficient": float(coefficient),
                "binning": plain(binning.to_dict()),
                **woe(
                    binning,
                    own.get("metric_special", scorecard._metric_special),
                    own.get("metric_missing", scorecard._metric_missing),
                    own.get("cat_unknown"),
                ),
            }
        )
    return {
        "format": "vereda-optbinning",
        "format_version": 1,
        "library": f"OptBinning {optbinning.__version__}",
        "intercept": float(np.ravel(model.intercept_)[0]),
        "points": points(scorecard),
        "variables": variables,
    }


def points(scorecard):
    """How margins become points, where that is what the scorecard does."""
    if scorecard.scaling_method != "pdo_odds" or scorecard.reverse_scorecard:
        return None
    given = scorecard.scaling_method_params
    return {
        "base_points": float(given["scorecard_points"]),
        "base_odds": float(given["odds"]),
        "pdo": float(given["pdo"]),
    }


def woe(binning, special, missing, unknown):
    """What the variable's own transform gives: one value in each bin, and the others."""
    from optbinning.binning.binning_statistics import bin_categorical

    for name, metric in [("metric_special", special), ("metric_missing", missing)]:
        if metric != "empirical" and not isinstance(metric, (int, float)):
            raise Unsupported(f"{name}={metric!r}")
    options = {"metric": "woe", "metric_special": special, "metric_missing": missing}
    table = binning.binning_table
    numeric = table.dtype == "numerical"
    if numeric:
        edges = [float(edge) for edge in table.splits]
        # The first number of each bin: bins are closed on the left.
        first = [np.nextafter(edges[0], -np.inf) if edges else 0.0, *edges]
        codes = set(flat(table.special_codes))
        given = []
        for i, x in enumerate(first):
            end = edges[i] if i < len(edges) else np.inf
            while x in codes and x < end:
                x = np.nextafter(x, -np.inf if i == 0 else np.inf)
            given.append(x)
        one = lambda x: float(binning.transform(np.array([x], dtype="float64"), **options)[0])  # noqa: E731
    else:
        categories = [list(group) for group in bin_categorical(table.splits, table.categories, table.cat_others, table.user_splits)]
        given = [group[0] for group in categories]
        more = {} if unknown is None else {"cat_unknown": unknown}
        one = lambda x: float(binning.transform(np.array([x], dtype=object), **options, **more)[0])  # noqa: E731
    found = {
        "groups": None if numeric else plain(categories),
        "woe": [one(x) for x in given],
        "special_woe": [[[plain(code) for code in codes], one(codes[0])] for codes in groups(table.special_codes)],
        "missing_woe": one(np.nan if numeric else None),
        "unknown_woe": None,
    }
    if not numeric:
        unseen = "unseen"
        while unseen in {str(category) for category in table.categories}:
            unseen += "_"
        found["unknown_woe"] = one(unseen)
    return found


def groups(special):
    """The special codes, those that share a bin together."""
    if special is None:
        return []
    lists = special.values() if isinstance(special, dict) else [special]
    return [list(np.ravel(codes)) for codes in lists if len(np.ravel(codes))]


def flat(special):
    return [code for codes in groups(special) for code in codes]


def plain(value):
    """numpy's scalars and arrays as JSON has them."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(v) for v in value]
    return value.item() if hasattr(value, "item") else value
