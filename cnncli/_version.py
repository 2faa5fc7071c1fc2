"""The version of cnncli."""

__version__ = "0.1.0"
