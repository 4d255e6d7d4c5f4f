"""What the Triton for machines without a GPU is made of: packages, stand-ins for CUDA, backend and first process.

`hack/images/triton-cpu` makes an image of it and `local` an environment under the cache folder. Everything but
`backend/`, which runs inside Triton's own Python, needs the standard library only and imports nothing else of ours: an
image is built without this package's needs.
"""
