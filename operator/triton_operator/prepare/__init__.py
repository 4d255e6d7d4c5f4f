"""What runs in a serving pod before Triton: find, check and lay out the models.

Started as `python3 -m triton_operator.prepare`. In: the list of models (a ConfigMap) and the model repository. Out:
the tree that Triton reads, and one JSON line as termination message.
"""
