"""`tritonctl mask-model`: write a model that masks personal data, and ensembles with it as their first step."""
