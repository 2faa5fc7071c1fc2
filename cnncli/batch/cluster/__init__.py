"""A batch on many machines: the workers of a Dask scheduler do what worker processes do here.

Imports nothing, for its modules run in different places: `runner` and `dask_client` where the
command is typed, `dask_task` inside a Dask worker.
"""
