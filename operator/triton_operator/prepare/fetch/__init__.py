"""Fetch a model repository over the network into a folder: from S3, or as an archive from a web server.

Input: a Download and an empty or partly filled folder. Output: the folder with a complete repository, or a PrepareError
with a reason, the URL without secrets, and advice. `prepare` calls `run.fetch` before it resolves models.

All data from the server (names, sizes, redirects, archives) is untrusted. Memory use does not depend on the size or the
number of files. Interrupted downloads are resumed, also by the next container. An incomplete tree never looks complete.
"""
