"""What every training does: go on after a pause, keep a log, and compute as fast as it can."""

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
    """A net, an optimizer or a schedule."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


def save_checkpoint(run: Path, config: str, step: int, parts: Mapping[str, Stateful]) -> None:
    """Write `parts` and what they came from into the folder `run`."""
    run.mkdir(parents=True, exist_ok=True)
    partial = run / "checkpoint.partial"
    states = {name: part.state_dict() for name, part in parts.items()}
    torch.save({"config": config, "step": step, **states}, partial)
    partial.replace(run / FILE)  # never half a checkpoint, whenever the power fails


def has_checkpoint(run: Path) -> bool:
    """Whether a training in the folder `run` goes on from where it stopped."""
    return (run / FILE).exists()


def resume(run: Path, config: str, parts: Mapping[str, Stateful], device: torch.device) -> int:
    """Load the checkpoint in `run`, if any, into `parts`; returns the steps already done. Raises
    ExportError if it is of a training with another configuration.
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
    """What `save_checkpoint` wrote."""
    try:
        state: dict[str, Any] = torch.load(path, map_location=device or "cpu", weights_only=True)
        state["config"], state["step"]
    except (EOFError, KeyError, OSError, RuntimeError, TypeError, UnpicklingError) as error:
        raise ExportError(f"{path} is not a checkpoint of this program: {error}") from error
    return state


def optimizer_step(
    batches: Iterable[Mapping[str, Tensor]],
    count: int,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    max_gradient_norm: float,
) -> dict[str, float]:
    """One step down the mean of the loss terms of `count` batches, which is returned by name.

    Gradients are clipped to `max_gradient_norm`; a step whose gradients overflow is left out.
    Raises ExportError where a loss is not a number: the nets are then what they were.
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
    """Add a line to the CSV file `path`, below a header with the names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


def _cut(table: Path, step: int) -> None:
    """Take out the lines of steps that came after the checkpoint and are now done again."""
    header, *lines = table.read_text().splitlines(keepends=True)
    kept = [line for line in lines if int(line.partition(",")[0]) <= step]
    if len(kept) < len(lines):
        table.write_text("".join([header, *kept]))


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16, except on a CPU that has no instructions for it: there one step with VGG-19 took a
    minute instead of seconds.
    """
    capabilities = torch.cpu.get_capabilities()
    native = any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
    return torch.bfloat16 if device.type != "cpu" or native else torch.float32
