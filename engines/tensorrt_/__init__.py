"""The TensorRT backend: NVIDIA's GPUs, natively."""
