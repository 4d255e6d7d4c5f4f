"""Components of the Triton server for machines without a GPU: packages, CUDA stubs, backend and entrypoint.

`hack/images/triton-cpu` builds an image from them, and `local` builds an environment in the cache folder. `backend/`
runs inside Triton's own Python. All other modules use only the standard library and import no other folder of this
package, because the image is built without this package's dependencies.
"""
