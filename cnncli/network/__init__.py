"""Networks: layers, network files, ONNX models, forward and backward passes."""
