"""Explanations as text for the terminal."""
