"""What a user has at hand (pictures, texts, tables, JSON) as the tensors that a model declares.

Enters: files or words, and the model's metadata. Leaves: arrays by input name. `infer` and `bench` call it.
"""
