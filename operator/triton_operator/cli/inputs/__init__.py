"""A user's images, texts, tables and JSON as the tensors that a model declares.

Input: files or texts, and the model's interface. Output: arrays by input name. This folder decodes files; the SDK
converts the values and checks them. `infer`, `bench` and `explain` call it.
"""
