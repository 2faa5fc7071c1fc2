"""The ways to convolve, one a file; `cnncli.core.engine` chooses among them and runs them."""
