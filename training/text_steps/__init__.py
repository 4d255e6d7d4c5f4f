"""The steps before and after a model in an ensemble, each a file that Triton's Python backend runs as it is.

`training.text_ensembles` copies them into `model_repository/` as `1/model.py`, with vocabularies and labels beside
them; training reads its texts by the same code. They need numpy alone, and `triton_python_backend_utils`, which is
there only inside Triton, is imported where Triton calls them.
"""
