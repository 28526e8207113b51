"""Numbers, times and configurations in words, as the report writes them."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from tunekit.space import Scalar, show

DASH = "\N{EN DASH}"
"""What stands for nothing in a table."""
MINUS = "\N{MINUS SIGN}"
USUAL_INITIALIZER = "he_normal"  # goes without saying


def number(value: float | None) -> str:
    """A measured number in four figures: ``"0.9786"``, ``"52.98"``, ``"1.2e-07"``, or a dash."""
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    size = abs(float(f"{value:.4g}"))
    if 1e-3 <= size < 1000:
        text = f"{value:#.4g}"
    else:
        text = f"{value:,.0f}" if 1 < size < 1e7 else f"{value:.2e}"
    return text.replace("-", MINUS)


def setting(value: Scalar) -> str:
    """A setting in three figures, else as a study file has it: ``"0.00123"``, ``"adam"``."""
    if isinstance(value, float) and math.isfinite(value):
        return f"{float(f'{value:.3g}'):g}"
    return show(value)


def with_spread(mean: float, spread: float) -> str:
    """A mean in as many decimals as its spread makes sense of: ``"0.979 ± 0.007"``."""
    if not (math.isfinite(spread) and math.isfinite(mean)) or spread <= 0:
        return number(mean)
    decimals = 1 - math.floor(math.log10(float(f"{spread:.2g}")))
    if decimals > 6 or abs(mean) >= 1e7:
        return f"{number(mean)} ± {number(spread)}"
    decimals = max(decimals, 0)
    return f"{mean:,.{decimals}f} ± {spread:,.{decimals}f}".replace("-", MINUS)


def share(part: float, whole: float) -> str:
    """A share in percent, ``"3%"``; small ones are not made nothing of."""
    if not whole:
        return DASH
    percent = 100 * part / whole
    if 0 < percent < 1:
        return "<1%"
    return ">99%" if 99 < percent < 100 else f"{percent:.0f}%"


def duration(seconds: float) -> str:
    """A time span: ``"40 ms"``, ``"4.2 s"``, ``"3 min 20 s"``, ``"2 h 5 min"``."""
    if seconds < 0.095:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"


def moment(seconds: float) -> str:
    """A Unix time as a date, ``"1 October 2026, 12:03 UTC"``."""
    at = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def counted(count: int, what: str) -> str:
    """``"1 trial"``, ``"1,200 trials"``, ``"no trials"``."""
    return f"{f'{count:,}' if count else 'no'} {what}{'' if count == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """``"a"``, ``"a and b"``, ``"a, b and c"``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def sentence(words: str) -> str:
    """`words` with a capital letter at its beginning."""
    return words[:1].upper() + words[1:]


def short(name: str) -> str:
    """A qualified name for an axis: ``"optimizer.adam.lr"`` is ``"adam lr"``."""
    first, *rest = name.split(".")
    return " ".join(rest) if rest else first


def configuration(values: Mapping[str, Any]) -> str:
    """A configuration in a few words: what a person tells trials apart by."""
    parts = []
    if "optimizer" in values:
        optimizer = values["optimizer"]
        rate = values.get(f"optimizer.{optimizer}.lr")
        named = "" if rate is None else f" lr={float(f'{rate:.2g}'):g}"
        parts.append(f"{optimizer}{named}")
    parts += [str(values[kind]) for kind in ("activation",) if kind in values]
    if values.get("schedule", "constant") != "constant":
        parts.append(str(values["schedule"]))
    parts += _network(values)
    if values.get("initializer", USUAL_INITIALIZER) != USUAL_INITIALIZER:
        parts.append(f"{values['initializer']} init")
    if "batch_size" in values:
        parts.append(f"batch {values['batch_size']}")
    switches = [key for key, value in values.items() if value is True and is_switch(key)]
    parts += [f"+{key.removeprefix('regularizer.')}" for key in switches]
    return ", ".join(parts)


def described(values: Mapping[str, Any]) -> str:
    """A configuration in a sentence's words, for somebody who does not know the short ones."""
    parts = []
    if "optimizer" in values:
        optimizer = values["optimizer"]
        rate = values.get(f"optimizer.{optimizer}.lr")
        named = "" if rate is None else f" at learning rate {float(f'{rate:.2g}'):g}"
        parts.append(f"{optimizer}{named}")
    if values.get("schedule", "constant") != "constant":
        parts.append(f"schedule {values['schedule']}")
    if layers := _layers(values):
        parts.append(layers)
    if values.get("initializer", USUAL_INITIALIZER) != USUAL_INITIALIZER:
        parts.append(f"{values['initializer']} initialization")
    if "batch_size" in values:
        parts.append(f"batches of {values['batch_size']}")
    if switches := [
        short(key) for key, value in values.items() if value is True and is_switch(key)
    ]:
        parts.append(f"with {listed(switches)}")
    return ", ".join(parts)


def _layers(values: Mapping[str, Any]) -> str:
    """The hidden layers in words."""
    if "network.hidden" in values:
        sizes = [size for size in str(values["network.hidden"]).split("-") if size != "none"]
    elif "network.depth" in values:
        sizes = [str(values.get("network.width"))] * int(values["network.depth"])
    else:
        return ""
    if not any(sizes):
        return "no hidden layer"
    units = listed(list(dict.fromkeys(sizes)) if len(set(sizes)) == 1 else sizes)
    kind = f"{values['activation']} units" if "activation" in values else "units"
    extras = [*_normalization(values), *_switched_on(values)]
    more = f" ({', '.join(extras)})" if extras else ""
    return f"{counted(len(sizes), 'hidden layer')} of {units} {kind}{more}"


def _normalization(values: Mapping[str, Any]) -> list[str]:
    """``["batch-norm"]``, or nothing."""
    name = values.get("network.normalization", "none")
    return [] if name == "none" else [f"{name}-norm"]


def _switched_on(values: Mapping[str, Any]) -> list[str]:
    """What else goes with the hidden layers."""
    named = {"network.residual": "residual", "network.input_scaling": "scaled inputs"}
    return [word for key, word in named.items() if values.get(key)]


def is_switch(name: str) -> bool:
    """Whether a qualified name is that of a regularizer that is on or off."""
    return name.startswith("regularizer.") and name.count(".") == 1


def _network(values: Mapping[str, Any]) -> list[str]:
    """The hidden layers and what goes with them."""
    if "network.hidden" in values:
        hidden = str(values["network.hidden"]) or "none"
    elif "network.depth" in values:
        depth, width = values["network.depth"], values.get("network.width")
        hidden = f"{depth}x{width}" if depth else "none"
    else:
        return []
    hidden = "linear" if hidden == "none" else hidden
    return [" ".join([hidden, *_normalization(values)]), *_switched_on(values)]


def marked(words: str) -> Markup:
    """Words as HTML, with what is between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words))))
