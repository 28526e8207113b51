from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit import Diagnosis
from tunekit.nn.diagnosis.verdict import Trace, diagnose

NAN = math.nan
Metrics = dict[str, Sequence[float]]


def falling(
    epochs: int, *, start: float = 2.3, end: float = 0.05, ends: float = 5.0
) -> list[float]:
    """An exponential fall that takes `ends` time constants."""
    fall = np.exp(-ends * np.arange(epochs + 1) / epochs)
    return list(end + (start - end) * (fall - fall[-1]) / (1 - fall[-1]))


def sound(
    changes: Mapping[str, Sequence[float]] | None = None,
    *,
    epochs: int = 20,
    **losses: Sequence[float],
) -> Metrics:
    """What a sound network of relu layers leaves behind."""
    loss = falling(epochs)
    metrics: Metrics = {
        "train_loss": [NAN, *loss[1:]],
        "val_loss": [2.3, *(value + 0.03 for value in loss[1:])],
        "lr": [NAN, *[1e-3] * epochs],
    }
    for k in range(1, 4):
        metrics[f"gradient_norm.layer{k}"] = [NAN, *[0.5] * epochs]
        metrics[f"update_ratio.layer{k}"] = [NAN, *[1e-3] * epochs]
    for k in range(1, 3):
        metrics[f"activation_scale.layer{k}"] = [1.0] * (epochs + 1)
        metrics[f"dead.layer{k}"] = [0.1] * (epochs + 1)
    return {**metrics, **(changes or {}), **losses}


def verdict(metrics: Mapping[str, Sequence[float]]) -> str:
    return diagnose(metrics, epochs=20).verdict


def test_a_run_that_learns_is_healthy() -> None:
    found = diagnose(sound())
    assert found.verdict == "healthy"
    assert "2.3 to 0.08" in found.words


def test_a_run_that_moves_no_weight_is_not_healthy() -> None:
    still = {f"update_ratio.layer{k}": [NAN, *[1e-9] * 20] for k in range(1, 4)}
    flat = [2.3] * 21
    found = diagnose(sound(still, train_loss=[NAN, *flat[1:]], val_loss=flat))
    assert found.verdict == "rate_too_small"
    assert found.words.startswith("Nothing moved: no step changed a layer's weights by more than")


def test_divergence_is_told_with_its_step_and_how_often_the_gradient_doubled() -> None:
    trace = Trace(12, (3.0, 2.0, *(2.5 * 3**i for i in range(9)), math.inf))
    found = diagnose({}, diverged=True, trace=trace)
    assert found == Diagnosis(
        "exploding",
        "The loss or a weight is not finite at step 12; the gradient norm doubled 8 steps in a "
        "row, from 2.5 to 1.6e+04. A lower learning rate, gradient clipping or a warm-up keeps it "
        "in bounds.",
    )


@pytest.mark.parametrize(
    ("norms", "words"),
    [
        ((), "at step 3. A"),
        ((2.0,), "at step 3; the gradient norm was 2. A"),
        (
            (2.0, 9.0, 3.0),
            "in the last 3 steps the gradient norm was 2 at first, 9 at most and 3 in the end. A",
        ),
        ((math.nan, math.inf), "at step 3. A"),
    ],
)
def test_divergence_is_told_from_as_much_as_is_known(norms: tuple[float, ...], words: str) -> None:
    assert words in diagnose({}, diverged=True, trace=Trace(3, norms)).words


def test_divergence_without_a_trace_names_the_epoch() -> None:
    metrics: Metrics = {"train_loss": [NAN, 1.0, NAN], "val_loss": [2.0, 1.0, NAN]}
    found = diagnose(metrics, diverged=True)
    assert found.verdict == "exploding"
    assert "in epoch 2" in found.words


def test_a_loss_that_blew_up_but_stayed_finite_is_told_with_its_size() -> None:
    metrics: Metrics = {"train_loss": [NAN, 5.7e8], "val_loss": [1.7, NAN]}
    found = diagnose(metrics, diverged=True, trace=Trace(11, (9.5, 6.7e8, 1.5e7)))
    assert found.verdict == "exploding"
    assert "The loss had gone from 1.7 to 5.7e+08 at step 11;" in found.words


def test_activations_that_grow_before_the_first_step_explode() -> None:
    growing = {"activation_scale.layer1": [5.0] * 21, "activation_scale.layer2": [180.0] * 21}
    found = diagnose(sound(growing))
    assert found.verdict == "exploding"
    assert "from 5 in layer 1 to 1.8e+02 in layer 2" in found.words
    assert "he_normal" in found.words


def test_divergence_of_an_unscaled_network_is_blamed_on_its_weights() -> None:
    growing = {"activation_scale.layer1": [5.0], "activation_scale.layer2": [180.0]}
    found = diagnose(sound(growing), diverged=True, trace=Trace(2, (1e9,)))
    assert "step 2" in found.words
    assert "he_normal" in found.words


def test_a_gradient_that_vanishes_is_told_as_a_share_of_the_output_layers() -> None:
    stuck = [2.3] * 21
    shrinking = {f"gradient_norm.layer{k}": [NAN, *[10.0 ** (k - 3)] * 20] for k in (1, 2, 3)}
    shrinking["gradient_norm.layer1"] = [NAN, *[3e-7] * 20]
    found = diagnose(sound(shrinking, train_loss=stuck, val_loss=stuck))
    assert found.verdict == "vanishing"
    assert "The gradient at layer 1 is 3e-7 of the output layer's" in found.words


def test_a_small_gradient_of_a_network_that_has_learned_is_no_fault() -> None:
    assert verdict(sound({"gradient_norm.layer1": [NAN, *[3e-7] * 20]})) == "healthy"


def test_a_network_without_any_gradient_vanishes() -> None:
    stuck, none = [2.3] * 21, [NAN, *[0.0] * 20]
    silent = {f"gradient_norm.layer{k}": none for k in (1, 2, 3)}
    found = diagnose(sound(silent, train_loss=stuck, val_loss=stuck))
    assert found.verdict == "vanishing"
    assert "is 0, as in all others" in found.words


def test_activations_that_fade_before_the_first_step_vanish() -> None:
    stuck = [2.3] * 21
    fading = {"activation_scale.layer1": [0.1] * 21, "activation_scale.layer2": [1e-5] * 21}
    assert verdict(sound(fading, train_loss=stuck, val_loss=stuck)) == "vanishing"


def test_units_dead_from_the_start_come_before_the_gradient_that_they_stop() -> None:
    stuck = [2.3] * 21
    dead = {"dead.layer2": [0.9] * 21, "gradient_norm.layer1": [NAN, *[0.0] * 20]}
    found = diagnose(sound(dead, train_loss=stuck, val_loss=stuck))
    assert found.verdict == "dead"
    assert "90% of layer 2's units are dead from the start" in found.words


def test_units_that_die_while_the_loss_rises_are_blamed_on_the_rate() -> None:
    dying = [0.0, *[1.0] * 20]
    rising = [NAN, 9.0, *[2.3] * 19]
    found = diagnose(sound({"dead.layer1": dying}, train_loss=rising, val_loss=[2.3] * 21))
    assert found.verdict == "rate_too_large"
    assert "100% of layer 1's units died in training" in found.words


def test_units_that_die_quietly_are_dead() -> None:
    assert verdict(sound({"dead.layer1": [0.0, *np.linspace(0, 1, 20)]})) == "dead"


def test_some_dead_units_are_no_fault() -> None:
    assert verdict(sound({"dead.layer1": [0.4] * 21})) == "healthy"


def test_saturation_before_the_first_step_is_a_fault_of_the_weights() -> None:
    found = diagnose(sound({"saturated.layer1": [0.1] * 21, "saturated.layer2": [0.7] * 21}))
    assert found.verdict == "saturated"
    assert "Layer 2 is saturated from the start: 70%" in found.words


def test_saturation_that_grows_while_the_network_learns_is_no_fault() -> None:
    assert verdict(sound({"saturated.layer1": list(np.linspace(0.1, 0.8, 21))})) == "healthy"


def test_losses_that_swing_oscillate() -> None:
    swinging = [2.3, *[1.0, 1.4] * 10]
    found = diagnose(sound(train_loss=swinging, val_loss=swinging))
    assert found.verdict == "rate_too_large"
    assert "oscillate" in found.words


def test_a_training_loss_that_rises_alone_is_noise() -> None:
    rising = [2.3, *falling(10, end=1.0)[1:], *[1.6] * 10]
    assert verdict(sound(train_loss=rising, val_loss=falling(20, end=1.2))) == "healthy"


def test_a_training_loss_above_the_validation_loss_is_no_rise() -> None:
    harder = [2.3, *[1.6 * value for value in falling(20, end=1.0)[1:]]]
    assert verdict(sound(train_loss=harder, val_loss=falling(20, end=1.0))) == "healthy"


@pytest.mark.parametrize("shaken", ["train_loss", "val_loss"])
def test_one_loss_that_swings_alone_is_noise(shaken: str) -> None:
    rng = np.random.default_rng(0)
    noisy = np.abs(np.array(falling(20)) + 0.4 * rng.standard_normal(21))
    assert verdict(sound({shaken: [2.3, *noisy[1:]]})) == "healthy"


def test_a_loss_that_ends_where_it_began_after_a_jump_rose() -> None:
    risen = [2.3, 40.0, *[2.3] * 19]
    found = diagnose(sound(train_loss=risen, val_loss=risen))
    assert found.verdict == "rate_too_large"
    assert "40 in the first epoch" in found.words


@pytest.mark.parametrize("ends", [0.1, 1.0])
def test_a_loss_that_still_falls_at_the_end_had_too_small_a_rate(ends: float) -> None:
    slow = falling(20, end=2.0, ends=ends)
    found = diagnose(sound(train_loss=slow, val_loss=slow), epochs=20)
    assert found.verdict == "rate_too_small"
    assert "from 2.3 to 2" in found.words


def test_a_schedule_that_ends_at_zero_does_not_hide_that_the_loss_still_fell() -> None:
    rate = 0.5 * (1 + np.cos(np.pi * np.arange(20) / 20))
    passed = np.concatenate([[0], np.cumsum(rate)]) / rate.sum()
    slow = list(2.3 - 0.3 * passed)
    assert slow[-5] - slow[-1] < 0.03 * (slow[0] - slow[-1])  # it looks as if it had arrived
    assert verdict(sound(train_loss=slow, val_loss=slow, lr=[NAN, *rate])) == "rate_too_small"


def test_a_loss_that_still_falls_where_little_is_left_is_no_fault() -> None:
    nearly = falling(20, end=0.2, ends=1.0)
    assert verdict(sound(train_loss=nearly, val_loss=nearly)) == "healthy"


def test_a_loss_that_falls_again_after_it_rose_had_no_small_rate() -> None:
    # Adam at a rate of 0.1 on digits.
    validation = [2.81, 0.94, 0.90, 1.42, 2.56, 1.87, 2.09, 3.33, 3.39, 2.26, 2.08]
    training = [NAN, 1.2, 0.9, 0.8, 0.9, 0.8, 0.8, 0.9, 0.8, 0.7, 0.7]
    assert verdict(sound(train_loss=training, val_loss=validation)) != "rate_too_small"


def test_a_loss_that_wavers_downwards_has_arrived() -> None:
    wavering = [1.0, *[0.99, 1.01] * 9, 0.99, 0.985]
    assert verdict(sound(train_loss=wavering, val_loss=wavering)) == "healthy"


def test_a_run_that_was_cut_is_not_blamed_for_a_loss_that_still_falls() -> None:
    slow = falling(20, end=2.0, ends=0.1)
    assert diagnose(sound(train_loss=slow, val_loss=slow), epochs=40).verdict == "healthy"


def test_a_validation_loss_that_turns_while_the_other_falls_means_overfitting() -> None:
    turned = [2.3, *falling(8, end=1.0)[1:], *np.linspace(1.0, 1.9, 12)]
    found = diagnose(sound(val_loss=turned))
    assert found.verdict == "overfitting"
    assert "validation loss is 1.9, after 1 in epoch 8" in found.words


def test_an_expensive_untrained_network_does_not_make_overfitting_look_small() -> None:
    turned = [30.0, *falling(8, start=5.0, end=0.6)[1:], *np.linspace(0.6, 0.8, 12)]
    assert verdict(sound(val_loss=turned)) == "overfitting"


def test_a_few_epochs_say_nothing_of_the_losses_course() -> None:
    swinging = [2.3, 1.0, 1.4, 1.0]
    found = diagnose(sound(epochs=3, train_loss=swinging, val_loss=swinging))
    assert found.verdict == "too_short"
    assert "3 were trained" in found.words


def test_a_few_epochs_show_how_the_signal_flows() -> None:
    assert verdict(sound({"saturated.layer1": [0.9] * 3}, epochs=2)) == "saturated"


@pytest.mark.parametrize("metrics", [{}, {"train_loss": [NAN], "val_loss": [2.3], "lr": [NAN]}])
def test_a_run_that_was_not_trained_is_too_short(metrics: Metrics) -> None:
    assert diagnose(metrics).verdict == "too_short"


def test_losses_alone_are_enough_for_what_they_show() -> None:
    metrics = sound()
    losses = {name: metrics[name] for name in ("train_loss", "val_loss")}
    assert diagnose(losses).verdict == "healthy"
    assert diagnose({**losses, "val_loss": [2.3, *[1.0] * 19, 1.5]}).verdict == "overfitting"


@pytest.mark.parametrize("shift", [-40.0, -2.0])
def test_a_likelihood_below_zero_is_read_from_its_lowest_value(shift: float) -> None:
    metrics = sound()
    lower = {name: [v + shift for v in metrics[name]] for name in ("train_loss", "val_loss")}
    found = diagnose({**metrics, **lower})
    assert found.verdict == "healthy"
    assert f"from {2.3 + shift:.2g} to" in found.words


series = st.lists(st.floats(width=32), min_size=0, max_size=12)


@given(
    losses=st.fixed_dictionaries(dict.fromkeys(("train_loss", "val_loss", "lr"), series)),
    layers=st.dictionaries(
        st.sampled_from(
            [
                f"{name}.layer{k}"
                for name in ("gradient_norm", "activation_scale", "dead", "saturated")
                for k in (1, 2, 3)
            ]
        ),
        series,
    ),
    diverged=st.booleans(),
)
def test_whatever_was_recorded_gets_a_verdict_without_a_warning(
    losses: Metrics, layers: Metrics, diverged: bool
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = diagnose({**losses, **layers}, diverged=diverged)
    assert found.verdict
    assert found.words.endswith(".")
