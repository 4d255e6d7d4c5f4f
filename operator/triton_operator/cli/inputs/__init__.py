"""What a user has at hand (pictures, texts, tables, JSON) as the tensors that a model declares.

Input: files or words, and the model's metadata. Output: arrays by input name. `infer` and `bench` call it.
"""
