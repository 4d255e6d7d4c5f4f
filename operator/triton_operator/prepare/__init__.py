"""The init container of serving pods: find, check and lay out the models before Triton starts.

Run as `python3 -m triton_operator.prepare`. Input: the list of models (a ConfigMap) and the model repository. Output:
the tree that Triton reads, and one JSON line as termination message.
"""
