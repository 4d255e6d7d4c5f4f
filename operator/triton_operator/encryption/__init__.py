"""Encrypted models: `tritonctl encrypt` makes them, and `prepare` decrypts them into memory.

Input: the folder of a model and a file with keys. Output: a folder with the same tree, in which every file is encrypted
(`NAME.enc`), and a clear header (HEADER_FILE) that lists them. The construction is Tink's streaming AEAD; what it
authenticates with each file is the model's name, the path, and the whole header.
"""
