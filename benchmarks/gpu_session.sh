#!/usr/bin/env bash
# Run everything that needs a machine with an NVIDIA GPU, in a few minutes:
#
#     benchmarks/gpu_session.sh RESULTS
#
# It runs the first `python` on the path, which needs streamstyle and `.[dev,tensorrt]`. With
# WHEELS=FOLDER, these are first installed from the wheels in that folder. The output of each step
# is in RESULTS/STEP.log, and the status of each step is in RESULTS/steps.json. If a step fails, the
# others still run, and the script exits with status 1. With DRY=1, all steps are short and small,
# to check that they run, and PyTorch's engines, which take minutes to compile, are left out.
set -euo pipefail

if [ $# -ne 1 ]; then
    echo "usage: benchmarks/gpu_session.sh RESULTS (a folder to write into)" >&2
    exit 2
fi
mkdir -p "$1"
results=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."

if [ -n "${DRY:-}" ]; then
    sizes=(64x48) size=64x48 seconds=0.05 clip_size=(--width 160 --height 90) duration=0.2
    fps=(--no-live) beside=(--no-peers)
    tests=(tests/engines/test_conformance.py -k "cuda and batch")
else
    sizes=(640x480 1280x720 1920x1080 3840x2160) size=1920x1080 seconds=5
    clip_size=(--width 1920 --height 1080) duration=20
    fps=(--plots "$results") beside=()
    tests=(-k cuda)
fi
clip="$results/clip.mp4"
lines=()
failed=0

# step NAME COMMAND...: run, log, and remember how it ended.
step() {
    local name=$1 status=0 began=$SECONDS
    shift
    echo "== $name: $*"
    "$@" 2>&1 | tee "$results/$name.log" || status=${PIPESTATUS[0]}
    lines+=("{\"step\": \"$name\", \"status\": $status, \"seconds\": $((SECONDS - began))}")
    [ "$status" -eq 0 ] || failed=1
}

# paint NAME OPTIONS...: paint the clip into another file.
paint() {
    local name=$1
    shift
    step "$name" python -m streamstyle video "$clip" "$results/$name.mp4" --overwrite "$@"
}

if [ -n "${WHEELS:-}" ]; then
    step install python -m pip install --no-index --find-links "$WHEELS" -e ".[dev,tensorrt]"
fi
step gpu nvidia-smi
step doctor python -m streamstyle doctor
step tests env FAIL_WITHOUT_CUDA=1 python -m pytest -q "${tests[@]}"
step fps python -m benchmarks fps --style medium:great-wave --sizes "${sizes[@]}" \
    --seconds "$seconds" --no-peers --json "$results/fps.json" "${fps[@]}"
# Includes PyTorch in half precision and compiled, if the installed PyTorch supports GPUs.
step peers python -m benchmarks fps --style medium:great-wave --sizes "$size" \
    --seconds "$seconds" --no-live --json "$results/peers.json" "${beside[@]}"
step profile python -m benchmarks profile --size "$size"
step clip python -m streamstyle video pattern:mandelbrot "$clip" --overwrite --strength 0 \
    "${clip_size[@]}" --resize --duration "$duration"
for precision in fp32 fp16; do
    paint "cuda-$precision" --engine onnxruntime --device cuda --precision "$precision"
done
paint onnxruntime-tensorrt-fp16 --engine onnxruntime --device tensorrt --precision fp16
# With the plan that the fps step built.
paint tensorrt-fp16 --engine tensorrt --precision fp16
if [ "$(nvidia-smi --list-gpus 2>/dev/null | wc -l)" -gt 1 ]; then
    paint cuda-two-fp16 --engine onnxruntime --device cuda:0,cuda:1 --precision fp16
    paint tensorrt-two-fp16 --engine tensorrt --device cuda:0,cuda:1 --precision fp16
fi

separator="["
for line in "${lines[@]}"; do
    printf '%s%s' "$separator" "$line"
    separator=$',\n '
done >"$results/steps.json"
echo "]" >>"$results/steps.json"
echo "== steps, also in $results/steps.json:"
cat "$results/steps.json"
exit "$failed"
