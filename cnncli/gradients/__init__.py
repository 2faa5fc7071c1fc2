"""Gradients of a unit of a network: computed, checked and drawn."""
