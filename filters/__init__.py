"""The built-in filters as numpy files; README.md lists them, cnncli.filters.builtins makes them."""
