"""Make ``golden.json``: what the authors' code does on a small problem in 60 steps.

The loss is ``sum h (w - a)^2 / 2 + sum sin(w_i w_i+1)``, in float64. The file holds the parameters
after a few of the steps. The code is ``pytorch/ademamix.py`` of github.com/apple/ml-ademamix; run
this with torch installed and that file's folder named:
``PYTHONPATH=ml-ademamix/pytorch python tests/make_golden.py``.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import torch

STEPS = 60
KEPT = [1, 2, 3, 10, 30, 60]
START = [1.3, -0.7, 0.4, 2.1]
CURVATURE = [1.0, 3.0, 0.2, 7.0]
CENTER = [0.5, 1.5, -2.0, 0.3]

# Without a warm-up, and without a fast mean; a warm-up that ends, one that does not, and one that
# falls, to a beta3 below beta1.
CASES: list[dict[str, float]] = [
    {"lr": 0.01, "warmup_steps": 0, "weight_decay": 0.0},
    {"lr": 0.01, "warmup_steps": 0, "beta1": 0.8, "beta2": 0.95, "beta3": 0.9, "eps": 1e-3},
    {"lr": 0.01, "warmup_steps": 0, "beta1": 0.0},
    {"lr": 0.01, "warmup_steps": 20, "weight_decay": 0.1},
    {"lr": 0.02, "warmup_steps": 100, "alpha": 8.0, "beta3": 0.9999},
    {"lr": 0.01, "warmup_steps": 40, "beta3": 0.5},
]
DEFAULTS = {"weight_decay": 0.01, "alpha": 5.0, "eps": 1e-8}
BETAS = {"beta1": 0.9, "beta2": 0.999, "beta3": 0.98}


def trajectory(values: dict[str, float]) -> list[list[float]]:
    """The parameters after each kept step."""
    w = torch.nn.Parameter(torch.tensor(START))
    warmup = values["warmup_steps"] or None
    optimizer: Any = importlib.import_module("ademamix").AdEMAMix(
        [w],
        lr=values["lr"],
        betas=tuple(values.get(name, default) for name, default in BETAS.items()),
        alpha_warmup=warmup,
        beta3_warmup=warmup,
        **{name: values.get(name, default) for name, default in DEFAULTS.items()},
    )
    curvature, center = torch.tensor(CURVATURE), torch.tensor(CENTER)
    kept = []
    for t in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss = (curvature * (w - center) ** 2).sum() / 2 + torch.sin(w[:-1] * w[1:]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if t in KEPT:
            kept.append(w.tolist())
    return kept


def main() -> None:
    """Write the file."""
    torch.set_default_dtype(torch.float64)
    problem = {"start": START, "curvature": CURVATURE, "center": CENTER, "steps": STEPS}
    cases = [{"values": values, "w": trajectory(values)} for values in CASES]
    content = {"torch": torch.__version__, **problem, "kept": KEPT, "cases": cases}
    text = json.dumps(content).replace('{"values"', '\n{"values"')
    Path(__file__).with_name("golden.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
