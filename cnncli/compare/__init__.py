"""Two results, networks or libraries compared, and what explains a difference."""
