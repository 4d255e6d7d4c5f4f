"""The checks of `tritonctl lint`, one module per subject: model file, code, configuration, folder, ModelDeployment.

Each check yields Findings. No code of a model is executed, and torch is not needed.
"""
