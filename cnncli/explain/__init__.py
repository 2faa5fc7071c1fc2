"""Explain one output value, or one input value's gradient: as text, JSON, page or animation."""
