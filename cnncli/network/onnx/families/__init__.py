"""The operators of ONNX that have layers of our own, a file for each family."""
