"""The built-in filters as numpy files; README.md lists them, cnncli.formulas makes them."""
