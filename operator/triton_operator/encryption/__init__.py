"""Encrypted models: `tritonctl encrypt` makes them, and `prepare` decrypts them into memory.

Input: the folder of a model, and a file with keys or a vault that wraps them. Output: a folder with the same tree, in
which every file is encrypted (`NAME.enc`), a clear header (HEADER_FILE) that lists them, and the wrapped keyset
(WRAPPED_FILE) if a vault wrapped one. The construction is Tink's streaming AEAD; what it authenticates with each file
is the model's name, the path, and the whole header.
"""
