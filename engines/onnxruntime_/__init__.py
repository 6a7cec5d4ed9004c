"""onnxruntime: GPUs of several makers, and any CPU."""
