"""Filters: built in, made from formulas, read from files or text, and described."""
