"""Make ``golden.json``: what the authors' package does on a small problem in 60 steps.

The loss is ``sum h (w - a)^2 / 2 + sum sin(w_i w_i+1)``, in float64. For each case the file holds
the training point `y` after a few of the steps and `x`, where the authors evaluate, after the last.
Run it with torch and schedulefree installed: ``python tests/make_golden.py``.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import torch

STEPS = 60
KEPT = [1, 2, 3, 10, 30, 60]
START = [1.3, -0.7, 0.4, 2.1]
CURVATURE = [1.0, 3.0, 0.2, 7.0]
CENTER = [0.5, 1.5, -2.0, 0.3]
# Rates that start at 0, fall and rise again: the weights follow the largest so far.
VARYING = [0.0, 0.4, 1.0, 0.7, 0.2, 1.2, *([0.5, 1.0, 0.9] * 18)]

# Our rule and its values; how many steps the rate warms up over, or VARYING.
CASES: list[tuple[str, dict[str, float], int | str]] = [
    ("schedule_free_sgd", {"lr": 0.1}, 0),
    ("schedule_free_sgd", {"lr": 0.2, "beta": 0.6, "weight_decay": 0.05}, 0),
    ("schedule_free_sgd", {"lr": 0.2, "weight_decay": 0.1}, 12),
    ("schedule_free_sgd", {"lr": 0.1, "r": 1.5, "weight_lr_power": 1.0}, 12),
    ("schedule_free_sgd", {"lr": 0.1, "weight_decay": 0.1}, "varying"),
    ("schedule_free_adamw", {"lr": 0.05, "weight_decay": 0.0}, 0),
    ("schedule_free_adamw", {"lr": 0.1, "beta": 0.8, "beta2": 0.9, "weight_decay": 0.1}, 0),
    ("schedule_free_adamw", {"lr": 0.1, "weight_decay": 0.05}, 12),
    ("schedule_free_adamw", {"lr": 0.1, "weight_decay": 0.0, "r": 2.0, "eps": 1e-3}, 12),
    ("schedule_free_adamw", {"lr": 0.1, "weight_decay": 0.1, "weight_lr_power": 0.5}, "varying"),
]


def reference(name: str, values: dict[str, float], w: torch.nn.Parameter, warmup: int) -> Any:
    """The authors' optimizer with our values."""
    schedulefree = importlib.import_module("schedulefree")
    arguments: dict[str, Any] = {**values, "warmup_steps": warmup, "foreach": False}
    beta = arguments.pop("beta", 0.9)
    if name == "schedule_free_sgd":
        return schedulefree.SGDScheduleFree([w], momentum=beta, **arguments)
    beta2 = arguments.pop("beta2", 0.999)
    return schedulefree.AdamWScheduleFree([w], betas=(beta, beta2), **arguments)


def trajectory(name: str, values: dict[str, float], rates: int | str) -> dict[str, Any]:
    """`y` after each kept step and `x` after the last."""
    w = torch.nn.Parameter(torch.tensor(START))
    optimizer = reference(name, values, w, rates if isinstance(rates, int) else 0)
    optimizer.train()
    curvature, center = torch.tensor(CURVATURE), torch.tensor(CENTER)
    kept = []
    for t in range(1, STEPS + 1):
        if rates == "varying":
            optimizer.param_groups[0]["lr"] = values["lr"] * VARYING[t - 1]
        optimizer.zero_grad()
        loss = (curvature * (w - center) ** 2).sum() / 2 + torch.sin(w[:-1] * w[1:]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if t in KEPT:
            kept.append(w.tolist())
    optimizer.eval()
    return {"y": kept, "x": w.tolist()}


def main() -> None:
    """Write the file."""
    torch.set_default_dtype(torch.float64)
    versions = {name: importlib.metadata.version(name) for name in ("schedulefree", "torch")}
    problem = {"start": START, "curvature": CURVATURE, "center": CENTER, "steps": STEPS}
    cases = [
        {"name": name, "values": values, "rates": rates, **trajectory(name, values, rates)}
        for name, values, rates in CASES
    ]
    content = {**versions, **problem, "kept": KEPT, "varying": VARYING, "cases": cases}
    text = json.dumps(content).replace('{"name"', '\n{"name"')
    Path(__file__).with_name("golden.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
