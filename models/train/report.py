"""The model cards in Markdown: the bundle's card with everything that does not fit on a phone."""

from pathlib import Path

from document import APPROVE
from evaluate import GROUPS

# The data's README: the same folds, with age and marital status in.
REFERENCE = {
    "reference-scorecard": ("logistic regression on WoE", 0.8333, 0.513, 0.1434, 0.4400),
    "reference-boosted": ("XGBoost, unconstrained", 0.8378, 0.522, 0.1422, 0.4414),
}


def table(head: list, rows: list) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows])


def percent(x) -> str:
    return "–" if x is None else f"{100 * x:.1f} %"


def interval(pair) -> str:
    return f"{100 * pair[0]:.1f} – {100 * pair[1]:.1f} %"


def write(path: Path, bundle: dict, how: str, audit: list, comparison: list) -> None:
    card, model = bundle["card"], bundle["id"]
    metrics = {m["name"]: m for m in card["metrics"]}
    title, *before = REFERENCE[model]
    names = ["auc", "ks", "brier", "log_loss"]
    measured = [f"{metrics[n]['value']:.4f} ± {metrics[n]['deviation']:.4f}" for n in names]
    sections = [
        f"# {bundle['name']['en']}, version {bundle['version']}",
        "Written by `cargo xtask train`; change `models/train`, not this file.",
        f"**Purpose.** {card['purpose']['en']}",
        "**Limits.**\n\n" + "\n".join(f"- {limit['en']}" for limit in card["limits"]),
        f"**Data.** {card['data']['source']['en']} {card['data']['rows']} rows with a known outcome, "
        f"SHA-256 of the file `{card['data']['sha256']}`.",
        f"**Method.** {how}",
        "## How well it does\n\n" + f"{metrics['auc']['method'][0].upper()}{metrics['auc']['method'][1:]}; "
        "± is the standard deviation over the folds.\n\n"
        + table(
            ["model", "AUC", "KS", "Brier", "log-loss"],
            [
                [f"**this one** (no age, no marital status)", *measured],
                [f"the data's README: {title}, with both", *(f"{x:.4f}" for x in before)],
                *[[name, *(f"{m[n][0]:.4f}" for n in names)] for name, m in comparison],
            ],
        ),
        "## Calibration per group, out of fold\n\n"
        f"Cuts at {', '.join(str(c) for c in bundle['groups']['cuts'])}. The interval is Jeffreys' 95 % for the observed "
        "share.\n\n"
        + table(
            ["group", "rows", "share", "defaults", "predicted", "observed", "interval", "suggested"],
            [
                [
                    row["group"],
                    row["rows"],
                    percent(row["rows"] / card["data"]["rows"]),
                    row["bads"],
                    percent(row["predicted"]),
                    percent(row["observed"]),
                    interval(row["interval"]),
                    group["decision"],
                ]
                for row, group in zip(card["calibration"], bundle["groups"]["groups"])
            ],
        ),
        f"## Fairness\n\n{card['fairness']['en']}\n\n"
        "Out of fold. *Approved* is the share for which policy suggests approval "
        f"({GROUPS[APPROVE[0]]} to {GROUPS[APPROVE[-1]]}); *approved among good* is the same among those who repaid "
        "(equal opportunity). AUC is given for bands of 100 rows or more.\n\n"
        + table(
            ["attribute", "value", "rows", "observed", "interval", "predicted", "approved", "approved among good", "AUC"],
            [
                [
                    row["attribute"],
                    row["value"],
                    row["rows"],
                    percent(row["observed"]),
                    interval(row["interval"]),
                    percent(row["predicted"]),
                    percent(row["approved"]),
                    percent(row["approved_good"]),
                    "–" if row["auc"] is None else f"{row['auc']:.3f}",
                ]
                for row in audit
            ],
        ),
        f"**Author and date.** {card['author']}, {card['created']}.",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
