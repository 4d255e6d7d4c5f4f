"""Train the models of `model_repository/`: one file per model or family, and one workflow for all of them.

Run it from the root of the repository. `python -m training digits` trains, evaluates and exports one model. With
`--check`, it retrains into a temporary folder and compares the scores with the committed model card. `all` selects
every model. The package needs the extra `training`; `digits_data` and `picture` need neither torch nor a server.
"""

from __future__ import annotations

from pathlib import Path

MODELS = {
    "linear_regression": "linear_regression",
    "digits_small": "digits_small",
    "digits_dense": "digits_small",
    "digits": "digits",
    "breast_cancer": "breast_cancer",
    "breast_cancer_hidden": "breast_cancer",
    "breast_cancer_federated": "breast_cancer_federated",
    "digits_lstm": "digits_lstm",
    "digits_gru": "digits_lstm",
    "chinese_texts_model": "chinese_texts",
    "token_tagger_model": "token_tagger",
    "bert_texts_model": "bert_texts",
}
"""The module of this package that defines the `Recipe` of each model; variants share a module."""

REPOSITORY = Path(__file__).resolve().parent.parent / "model_repository"
"""The folder of this project's models."""
