"""Fetches a model repository over the network into a folder: from S3, or as an archive from a web server.

In: a Download and an empty or half-filled folder. Out: the folder with a complete repository in it, or a PrepareError
with a reason, the URL without anything secret, and what to do. `prepare` calls `run.fetch` before it looks at models.

Everything that comes from the other side (names, sizes, redirects, archives) is taken as hostile. Memory does not grow
with the size or the number of files; what broke off is resumed, also by the next container; and a tree that is not
complete never looks complete.
"""
