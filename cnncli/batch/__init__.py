"""One job on many images: which images, worker processes, a Dask cluster, the report."""
