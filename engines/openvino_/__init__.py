"""OpenVINO: CPUs, and Intel's GPUs and NPUs."""
