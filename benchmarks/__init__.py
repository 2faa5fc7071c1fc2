"""Measures cnncli against what people would use instead; ``python -m benchmarks`` runs it."""
