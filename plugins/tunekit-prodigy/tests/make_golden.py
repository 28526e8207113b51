"""Make ``golden.json``: what the authors' package does to a small network in 60 steps.

The network is a perceptron with tanh, trained on all of its data in float64 by torch's automatic
derivatives. The file holds the problem, and for each case all parameters and `d` after a few of the
steps. Run it where torch and prodigyopt 1.1.2 are installed: ``python tests/make_golden.py``.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
from pathlib import Path
from typing import Any

import torch
from prodigyopt import Prodigy

STEPS = 60
KEPT = [1, 2, 10, 30, 60]
SIZES = (2, 3, 1)
ROWS = 8
FACTORS = [round(0.6 + 0.5 * math.sin(0.3 * t), 6) for t in range(STEPS)]

# Our values; those that have the same name and meaning in the authors' package are handed on.
CASES: list[dict[str, Any]] = [
    {"d0": 1e-3},
    {},
    {"lr": 0.5, "d0": 1e-4, "use_bias_correction": True},
    {"d0": 1e-3, "beta1": 0.8, "beta2": 0.99, "eps": 1e-3},
    {"d0": 1e-3, "beta3": 0.9, "d_coef": 2.0},
    {"d0": 1e-3, "weight_decay": 0.1, "growth_rate": 1.05},
    {"d0": 1e-3, "safeguard_warmup": True, "use_bias_correction": True, "weight_decay": 0.02},
    {"d0": 1e-3, "beta1": 0.5, "d_coef": 0.5},
]
VARYING = [0, 6]  # repeated with rates that rise and fall


def problem() -> dict[str, Any]:
    """Data and initial parameters: weights ``(fan_in, fan_out)``, then biases."""
    generator = torch.Generator().manual_seed(3)
    inputs, hidden, outputs = SIZES
    shapes = [(inputs, hidden), (hidden, outputs), (hidden,), (outputs,)]
    x = torch.randn(ROWS, inputs, generator=generator)
    return {
        "x": x.tolist(),
        "y": torch.sin(2 * x.sum(1, keepdim=True)).tolist(),
        "parameters": [torch.randn(shape, generator=generator).tolist() for shape in shapes],
    }


def arguments(values: dict[str, Any]) -> dict[str, Any]:
    """Our values under the authors' names."""
    given = dict(values)
    given["betas"] = (given.pop("beta1", 0.9), given.pop("beta2", 0.999))
    return given


def trajectory(
    given: dict[str, Any], values: dict[str, Any], lrs: list[float]
) -> dict[str, list[Any]]:
    """All parameters, flat, and `d` after each kept step."""
    x, y = torch.tensor(given["x"]), torch.tensor(given["y"])
    parameters = [torch.tensor(tensor, requires_grad=True) for tensor in given["parameters"]]
    w1, w2, b1, b2 = parameters
    optimizer = Prodigy(parameters, **arguments(values))
    kept: dict[str, list[Any]] = {"w": [], "d": []}
    for t, lr in enumerate(lrs, start=1):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        output = torch.tanh(x @ w1 + b1) @ w2 + b2
        torch.autograd.backward(((output - y) ** 2).mean())
        optimizer.step()
        if t in KEPT:
            kept["w"].append([value for p in parameters for value in p.flatten().tolist()])
            kept["d"].append(optimizer.param_groups[0]["d"])
    return kept


def check_stability(given: dict[str, Any], values: dict[str, Any], lrs: list[float]) -> None:
    """See that a rounding of the start stays one: chaotic steps could be compared with nothing."""
    nudged = json.loads(json.dumps(given))
    nudged["parameters"][0][0][0] *= 1 + 1e-15
    one, other = (torch.tensor(trajectory(start, values, lrs)["w"]) for start in (given, nudged))
    grown = float((one - other).abs().max() / one.abs().max())
    if grown > 2e-12:
        raise ValueError(f"{values}: 1e-15 grows to {grown:.0e}")


def main() -> None:
    """Write the file."""
    torch.set_default_dtype(torch.float64)
    given = problem()
    cases: list[dict[str, Any]] = []
    for number, values in enumerate(CASES):
        for varying in (False, True) if number in VARYING else (False,):
            lrs = [values.get("lr", 1.0) * factor if varying else values.get("lr", 1.0)
                   for factor in FACTORS]  # fmt: skip
            check_stability(given, values, lrs)
            kept = trajectory(given, values, lrs)
            cases.append({"values": values, "varying": varying, **kept})
    content = {
        "made with": {name: importlib.metadata.version(name) for name in ("prodigyopt", "torch")},
        "kept": KEPT,
        "factors": FACTORS,
        "problem": given,
        "cases": cases,
    }
    text = json.dumps(content).replace('{"values"', '\n{"values"')
    Path(__file__).with_name("golden.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
