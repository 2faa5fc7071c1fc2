"""The HTML page of a layer or a network: its data, and the file that holds all."""
