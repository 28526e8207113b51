"""Make ``golden.json``: what an independent port of the authors' code does in 40 steps.

The network is a perceptron with tanh, trained in float64 by torch's automatic derivatives. The file
holds the problem, and for each case all parameters after a few of the steps. Run it where torch and
pytorch_optimizer 4.1.0 are installed: ``python tests/make_golden.py``.

Two things make the numbers comparable at all. Both layers are nearly square: the average of one
gradient of a matrix has as many eigenvectors as its shorter side, and where two or more are left
over, any basis of their space is as good. And the steps take the even and the odd rows of the data
by turns: the first step moves nothing, and in the basis of a gradient that comes again, all but the
diagonal is rounding, which Adam blows up.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
from pathlib import Path
from typing import Any

import torch
from pytorch_optimizer import SOAP
from pytorch_optimizer.optimizer import soap

STEPS = 40
KEPT = [1, 2, 10, 20, 40]
SIZES = (3, 3, 2)
ROWS = 12
FACTORS = [round(0.6 + 0.5 * math.sin(0.3 * t), 6) for t in range(STEPS)]

# Our values; `arguments` gives them the port's names.
CASES: list[dict[str, Any]] = [
    {"lr": 0.02},
    {"lr": 0.02, "precondition_frequency": 1},
    {"lr": 0.01, "precondition_frequency": 3, "weight_decay": 0.1},
    {"lr": 0.02, "beta1": 0.8, "beta2": 0.99, "shampoo_beta": 0.7, "precondition_frequency": 5},
    {"lr": 0.02, "eps": 1e-3, "weight_decay": 0.0, "precondition_frequency": 4},
    {"lr": 0.02, "max_precond_dim": 2, "precondition_frequency": 2},
    {"lr": 0.02, "max_precond_dim": 0},
]
VARYING = [2]  # repeated with rates that rise and fall


class DoubleTorch:
    """torch, with float64 for float32: the port rounds the power iteration, which hides digits."""

    float32 = torch.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def problem() -> dict[str, Any]:
    """Data and initial parameters: weights ``(fan_in, fan_out)``, then biases."""
    generator = torch.Generator().manual_seed(1)
    inputs, hidden, outputs = SIZES
    shapes = [(inputs, hidden), (hidden, outputs), (hidden,), (outputs,)]
    x = torch.randn(ROWS, inputs, generator=generator)
    return {
        "x": x.tolist(),
        "y": torch.sin(2 * x[:, :outputs] + x[:, -1:]).tolist(),
        "parameters": [torch.randn(shape, generator=generator).tolist() for shape in shapes],
    }


def arguments(values: dict[str, Any]) -> dict[str, Any]:
    """Our values under the port's names."""
    given = dict(values)
    given["weight_decay"] = 0.0  # `trajectory` decays as AdamW does, before the step
    given["betas"] = (given.pop("beta1", 0.95), given.pop("beta2", 0.95))
    # 0 is no valid limit there, but sides of one element do not turn.
    given["max_precondition_dim"] = max(1, given.pop("max_precond_dim", 512))
    return given


def trajectory(
    given: dict[str, Any], values: dict[str, Any], lrs: list[float]
) -> list[list[float]]:
    """All parameters, flat, after each kept step."""
    x, y = torch.tensor(given["x"]), torch.tensor(given["y"])
    parameters = [torch.tensor(tensor, requires_grad=True) for tensor in given["parameters"]]
    w1, w2, b1, b2 = parameters
    optimizer = SOAP(parameters, **arguments(values))
    kept = []
    for t, lr in enumerate(lrs, start=1):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        batch = slice(t % 2, None, 2)
        output = torch.tanh(x[batch] @ w1 + b1) @ w2 + b2
        torch.autograd.backward(((output - y[batch]) ** 2).mean())
        if t > 1:
            with torch.no_grad():
                for p in parameters:
                    p *= 1 - lr * values.get("weight_decay", 0.01)
        optimizer.step()
        if t in KEPT:
            kept.append([value for p in parameters for value in p.flatten().tolist()])
    return kept


def check_stability(given: dict[str, Any], values: dict[str, Any], lrs: list[float]) -> None:
    """See that a rounding of the start stays one: chaotic steps could be compared with nothing."""
    nudged = json.loads(json.dumps(given))
    nudged["parameters"][0][0][0] *= 1 + 1e-15
    one, other = (torch.tensor(trajectory(start, values, lrs)) for start in (given, nudged))
    grown = float((one - other).abs().max() / one.abs().max())
    if grown > 1e-12:
        raise ValueError(f"{values}: 1e-15 grows to {grown:.0e}")


def main() -> None:
    """Write the file."""
    torch.set_default_dtype(torch.float64)
    soap.torch = DoubleTorch()
    given = problem()
    cases: list[dict[str, Any]] = []
    for number, values in enumerate(CASES):
        for varying in (False, True) if number in VARYING else (False,):
            lrs = [values["lr"] * factor if varying else values["lr"] for factor in FACTORS]
            check_stability(given, values, lrs)
            kept = trajectory(given, values, lrs)
            cases.append({"values": values, "varying": varying, "w": kept})
    made_with = ("pytorch_optimizer", "torch")
    content = {
        "made with": {name: importlib.metadata.version(name) for name in made_with},
        "kept": KEPT,
        "factors": FACTORS,
        "problem": given,
        "cases": cases,
    }
    text = json.dumps(content).replace('{"values"', '\n{"values"')
    Path(__file__).with_name("golden.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
