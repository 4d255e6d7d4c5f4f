"""Load measurements of breast tumours with their diagnosis, without torch.

The data set is part of scikit-learn: 569 tumours. The ten mean values of the cell nuclei in an image are used
("Breast Cancer Wisconsin (Diagnostic)", W. Wolberg and others, UCI Machine Learning Repository, 1993).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from training.dataset import Dataset, Part
from training.split import stratified

CLASSES = ("benign", "malignant")
"""Names of the classes 0 and 1."""

MEASUREMENTS = 10
"""The first ten of thirty columns are means: radius, texture, perimeter, area, smoothness, compactness, concavity,
concave points, symmetry, fractal dimension."""


@cache
def load() -> Dataset:
    """Read all tumours and split them into three fixed parts.

    Inputs have the shape [count, 10], float32, as measured: the model standardizes them.
    """
    from sklearn.datasets import load_breast_cancer  # Takes a second, which federated parties save.

    tumours = load_breast_cancer()
    measured = np.asarray(tumours.data[:, :MEASUREMENTS], dtype=np.float32)
    malignant = np.asarray(tumours.target == list(tumours.target_names).index("malignant"), dtype=np.int64)
    train, validation, test = (Part(measured[rows], malignant[rows]) for rows in stratified(malignant))
    return Dataset(
        name="Breast Cancer Wisconsin (Diagnostic): ten means of 569 tumours (ships with scikit-learn)",
        source="W. Wolberg, O. Mangasarian, N. Street, W. Street (1993), UCI Machine Learning Repository, "
        "https://doi.org/10.24432/C5DW2B",
        licence="CC-BY-4.0",
        train=train,
        validation=validation,
        test=test,
        remarks="One tumour more or less of the 113 in the test part is 0.9 points. The plans were chosen by "
        "validation loss, after a first one had missed the target on the test part. No device for diagnosis.",
    )
