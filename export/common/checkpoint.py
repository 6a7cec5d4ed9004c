"""Checkpoints, logs and optimizer steps of all trainings."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from export.errors import ExportError

FILE = "checkpoint.pt"


class Stateful(Protocol):
    """An object whose state a checkpoint keeps: a net, an optimizer or a schedule."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


def save_checkpoint(run: Path, config: str, step: int, parts: Mapping[str, Stateful]) -> None:
    """Write the states of `parts`, the configuration and the step into the folder `run`."""
    run.mkdir(parents=True, exist_ok=True)
    partial = run / "checkpoint.partial"
    states = {name: part.state_dict() for name, part in parts.items()}
    torch.save({"config": config, "step": step, **states}, partial)
    partial.replace(run / FILE)  # a power cut never leaves half a checkpoint


def has_checkpoint(run: Path) -> bool:
    """Return whether the folder `run` holds a checkpoint to resume from."""
    return (run / FILE).exists()


def resume(run: Path, config: str, parts: Mapping[str, Stateful], device: torch.device) -> int:
    """Load the checkpoint in `run`, if any, into `parts` and return the number of steps done.

    Log lines of later steps are removed. Raises ExportError if the checkpoint is of a training with
    another configuration or cannot be read.
    """
    path = run / FILE
    if not path.exists():
        return 0
    state = read_checkpoint(path, device)
    if state["config"] != config:
        raise ExportError(
            f"{run} holds a training with other settings; give another --run folder, or delete it"
        )
    for name, part in parts.items():
        part.load_state_dict(state[name])
    step = int(state["step"])
    for table in run.glob("*.csv"):
        _cut(table, step)
    return step


def read_checkpoint(path: Path, device: torch.device | None = None) -> dict[str, Any]:
    """Return what `save_checkpoint` wrote to `path`.

    Raises ExportError if the file is not a checkpoint.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=device or "cpu", weights_only=True)
        state["config"], state["step"]
    except (
        AttributeError, EOFError, IndexError, KeyError, OSError, RuntimeError, TypeError,
        UnpicklingError, ValueError,
    ) as error:  # fmt: skip
        raise ExportError(f"{path} is not a checkpoint of this program: {error}") from error
    return state


def optimizer_step(
    batches: Iterable[Mapping[str, Tensor]],
    count: int,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    max_gradient_norm: float,
) -> dict[str, float]:
    """Do one optimizer step on the mean loss of `count` batches; return the loss terms by name.

    Gradients are clipped to `max_gradient_norm`. If they overflow, the weights are not updated.
    Raises ExportError, and leaves the weights unchanged, if a loss is not a finite number.
    """
    optimizer.zero_grad(set_to_none=True)
    means: dict[str, float] = {}
    for terms in batches:
        loss = torch.stack([*terms.values()]).sum() / count
        if not torch.isfinite(loss):
            step = schedule.last_epoch + 1
            raise ExportError(
                f"the loss is {loss.item()} at step {step}; lower --learning-rate and start again"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        for name, term in terms.items():
            means[name] = means.get(name, 0.0) + term.item() / count
    trainable = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if torch.isfinite(nn.utils.clip_grad_norm_(trainable, max_gradient_norm)):
        optimizer.step()
    schedule.step()
    return means


def log(path: Path, row: Mapping[str, Any]) -> None:
    """Append a row to the CSV file `path`; a new file first gets a header with the keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


def _cut(table: Path, step: int) -> None:
    """Remove the lines of steps after the checkpoint, which now run again."""
    header, *lines = table.read_text().splitlines(keepends=True)
    kept = [line for line in lines if int(line.partition(",")[0]) <= step]
    if len(kept) < len(lines):
        table.write_text("".join([header, *kept]))


def fast_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16, or float32 on a CPU without bfloat16 instructions.

    There one step with VGG-19 in bfloat16 took a minute instead of seconds.
    """
    capabilities = torch.cpu.get_capabilities()
    native = any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
    return torch.bfloat16 if device.type != "cpu" or native else torch.float32
