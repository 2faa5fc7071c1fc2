"""The built-in filters as numpy files; README.md lists them, tools/make_filters.py makes them."""
