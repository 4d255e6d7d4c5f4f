"""Signatures of models, in the format of OpenSSF model signing: `tritonctl sign` makes them, and `prepare` checks them.

Input: the folder of a model and keys. Output: the file SIGNATURE_FILE in that folder, or the name of the key whose
signature covers exactly the files in it. Nothing here connects to a network: keys and certificates are local files.
"""
