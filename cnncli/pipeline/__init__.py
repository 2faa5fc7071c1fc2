"""One image from its file to the files of its results."""
