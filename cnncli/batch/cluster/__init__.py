"""A batch on many machines: the workers of a Dask scheduler do what worker processes do here.

Imports nothing, for its modules run in different places: `runner`, `dask_client` and `scheduler`
where the command is typed, `dask_task` inside a Dask worker, `child_process` in a process of
its own beside it, `payload` at both ends, and `versions` wherever Python runs.
"""
