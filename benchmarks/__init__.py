"""Measures cnncli against what people would use instead; ``python -m benchmarks`` runs it.

Layers are measured with the BLAS kernels that the command takes, unless a variable of OpenBLAS is
set; so this comes before numpy loads.
"""

from cnncli.system.cpu import choose_blas_kernels

choose_blas_kernels()
