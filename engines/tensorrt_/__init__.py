"""TensorRT: NVIDIA's GPUs, natively."""
