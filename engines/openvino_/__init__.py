"""The OpenVINO backend: CPUs, and Intel's GPUs and NPUs."""
