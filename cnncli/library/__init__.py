"""The commands as calls of Python: networks and layers on one image, with results that show."""
