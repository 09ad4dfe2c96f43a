"""Trains the model behind reference-boosted-2.json again and saves it as XGBoost does.

    python booster.py --data models/data/es-credit-4k/CreditScoring.csv --out booster.ubj

One thread and a fixed seed: it is the same model, which `cargo xtask bench backend` checks by asking
both servers for the same PDs.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "train"))

import boosted
from data import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    data = load(arguments.data)
    boosted.fit(data.x, data.y).save_model(arguments.out)


if __name__ == "__main__":
    main()
