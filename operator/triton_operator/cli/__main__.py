"""`python -m triton_operator.cli` is `tritonctl`."""

from triton_operator.cli import main

main()
