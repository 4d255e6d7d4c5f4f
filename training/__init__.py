"""The code that makes `model_repository/`: one file per model, one workflow for all of them.

Run it from the root of the repository: `python -m training digits` trains, evaluates and exports one model; with
`--check` it retrains into a temporary folder and compares the scores with the committed model card.
The package needs the `[training]` extra; `digits_data` and `picture` need neither torch nor a running server.
"""
