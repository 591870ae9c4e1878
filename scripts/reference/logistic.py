"""Writes analysis/membership/testdata/logistic.json: what scikit-learn makes of a
small shadow-model attack, as the reference of package membership.

    python3 -m venv venv && venv/bin/pip install scikit-learn==1.9.1
    venv/bin/python scripts/reference/logistic.py > analysis/membership/testdata/logistic.json
"""

import json
import sys

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler

CLASSES = 4
CS = [0.01, 0.1, 1, 10]
rng = np.random.default_rng(20220205)


def outputs(n, signal):
    """n rows of logits, multiples of 1/64 so that float32 holds them exactly."""
    labels = rng.integers(CLASSES, size=n)
    logits = rng.normal(0, 2, (n, CLASSES))
    logits[np.arange(n), labels] += rng.gamma(2, signal, n)
    return np.round(logits * 64) / 64, labels


def features(logits, labels):
    return np.column_stack([np.sort(logits, axis=1), logits.argmax(1) == labels])


# Sizes that three does not divide, so that the allocation of folds shows.
member, other = outputs(70, 2.5), outputs(58, 1.5)
x = np.vstack([features(*member), features(*other)]).astype(float)
y = np.r_[np.ones(len(member[1])), np.zeros(len(other[1]))]
scaler = StandardScaler().fit(x)
x = scaler.transform(x)

folds = StratifiedKFold(3)
search = GridSearchCV(
    LogisticRegression(tol=1e-10, max_iter=100_000), {"C": CS}, cv=folds, scoring="accuracy"
).fit(x, y)
fits = [LogisticRegression(C=c, tol=1e-10, max_iter=100_000).fit(x, y) for c in CS]


def fold_of(labels):
    fold = np.zeros(len(labels), int)
    for i, (_, test) in enumerate(folds.split(np.zeros(len(labels)), labels)):
        fold[test] = i
    return fold.tolist()


mixed = (rng.random(32) < 0.4).astype(int)
json.dump(
    {
        "source": f"scripts/reference/logistic.py, scikit-learn {sklearn.__version__}",
        "members": {"logits": member[0].ravel().tolist(), "labels": member[1].tolist()},
        "non_members": {"logits": other[0].ravel().tolist(), "labels": other[1].tolist()},
        "mean": scaler.mean_.tolist(),
        "std": scaler.scale_.tolist(),
        "fits": [
            {"c": c, "w": f.coef_[0].tolist(), "b": f.intercept_[0], "cv": cv}
            for c, f, cv in zip(CS, fits, search.cv_results_["mean_test_score"])
        ],
        "best_c": search.best_params_["C"],
        "folds": [
            {"y": y.astype(int).tolist(), "fold": fold_of(y)},
            {"y": mixed.tolist(), "fold": fold_of(mixed)},
        ],
    },
    sys.stdout,
    separators=(",", ":"),
)
print()
