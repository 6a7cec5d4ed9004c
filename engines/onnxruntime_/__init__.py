"""The onnxruntime backend: GPUs of several makers, and any CPU."""
