"""See it happen: the arithmetic of one output value, and what one input value takes part in."""
