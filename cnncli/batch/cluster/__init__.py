"""Many images on many machines: a Dask scheduler's workers do what worker processes do at home.

Imports nothing, for its parts run in different places: `runner`, `session` and `desk` where the
command is typed, `work` inside a Dask worker, `child` in a process of its own beside it, `parcel`
at both ends, and `facts` wherever Python runs.
"""
