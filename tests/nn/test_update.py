from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import ComponentError, Optimizer, Regularizer, Step
from tunekit.components import KINDS, State
from tunekit.nn import update
from tunekit.nn.parameters import Layout
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Run
from tunekit.nn.training import advance, score_on, start, trained
from tunekit.nn.update import Update
from tunekit.plugins import load
from tunekit.records import Fold

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
ELEMENTWISE = [
    name
    for name in REGISTRY.names("optimizer")
    if REGISTRY.find(KINDS["optimizer"], name).scope == "elementwise"  # type: ignore[attr-defined]
]
DEFAULTS: dict[str, str | int | float] = {
    "activation": "tanh",
    "initializer": "he_normal",
    "loss": "cross_entropy",
    "optimizer": "sgd",
    "schedule": "constant",
    "network.hidden": "8-6",
    "network.normalization": "batch",
    "epochs": 3,
    "batch_size": 16,
    "patience": 0,
    "warmup": 0.0,
    "dtype": "float32",
}


def component(kind: str, name: str, **values: Any) -> Any:
    return REGISTRY.find(KINDS[kind], name)(**values)


def sgd(lr: float = 0.1) -> Any:
    return component("optimizer", "sgd", lr=lr, momentum=0.0)


def fold(features: int = 6) -> Fold:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, features)).astype(np.float32)
    target = rng.integers(0, 3, 60)
    return Fold(x[:45], target[:45], None, x[45:], target[45:], None)


def begin(data: Fold | None = None, **changes: Any) -> Run:
    plan = dataclasses.replace(Recipe.of(DEFAULTS, REGISTRY, "accuracy"), **changes)
    return start(plan, data or fold(), 3, np.random.SeedSequence(0))


class Path:
    """A rule walking alone: parameters 0, 1, 2, ... of a 2-3-2 network, and gradients at will."""

    def __init__(self, rule: Optimizer, penalties: tuple[Regularizer, ...] = ()) -> None:
        self.layout = Layout.of((2, 3, 2), "batch")
        self.w = np.arange(self.layout.size, dtype=np.float32) / 8
        self.g = np.zeros_like(self.w)
        self.slots = Update.initial_state(rule, self.layout, self.w)
        self.update = Update(rule, self.layout, self.w, self.g, self.slots, penalties)
        self.t = 0

    def step(self, gradient: Array | float, rate: float = 0.5) -> Array:
        """The parameters after one more step."""
        self.g[:] = gradient
        self.t += 1
        self.update.step(self.t, rate)
        return self.w.copy()


def gradients(count: int = 4) -> list[Array]:
    rng = np.random.default_rng(8)
    return [rng.normal(size=20).astype(np.float32) for _ in range(count)]


# Blocks.


@pytest.mark.parametrize("block", [1, 7, 64, 10**6])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_blocks_of_any_size_give_the_same_bits(
    name: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {
        "optimizer": component("optimizer", name),
        "regularizers": (component("regularizer", "l1"), component("regularizer", "l2")),
    }
    expected = advance(begin(**changes), 3)
    monkeypatch.setattr(update, "BLOCK", block)
    found = advance(begin(**changes), 3)
    assert len(found.checkpoint.slots) == -(-found.parameters // block)
    assert found.checkpoint.weights.tobytes() == expected.checkpoint.weights.tobytes()


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_network_larger_than_a_block_is_no_different(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"optimizer": component("optimizer", name), "hidden": (180, 180)}
    found = advance(begin(**changes), 1)
    assert found.parameters > update.BLOCK
    monkeypatch.setattr(update, "BLOCK", found.parameters)
    whole = advance(begin(**changes), 1)
    assert (len(found.checkpoint.slots), len(whole.checkpoint.slots)) == (2, 1)
    assert found.checkpoint.weights.tobytes() == whole.checkpoint.weights.tobytes()


# What a rule sees.


def test_the_tensor_scope_sees_matrices_and_vectors_and_whose_they_are() -> None:
    seen: list[tuple[tuple[int, ...], int | None, bool, str, int, float]] = []

    class Watching(Optimizer):
        name = "watching"
        scope = "tensor"
        slots = ("m",)

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            assert g.shape == state["m"].shape == w.shape
            seen.append((w.shape, step.layer, step.is_output, step.role, step.t, step.lr))
            return g

    path = Path(Watching())
    start, gradient = path.w.copy(), gradients()[0]
    np.testing.assert_array_equal(path.step(gradient), start - np.float32(0.5) * gradient)
    assert seen == [
        ((2, 3), 0, False, "weights", 1, 0.5),
        ((3, 2), 1, True, "weights", 1, 0.5),
        ((2,), 1, True, "biases", 1, 0.5),
        ((3,), 0, False, "others", 1, 0.5),
        ((3,), 0, False, "others", 1, 0.5),
    ]


def test_a_matrix_is_handed_out_with_one_column_a_unit() -> None:
    class Watching(Optimizer):
        name = "watching"
        scope = "tensor"

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            direction = np.zeros_like(g)
            direction += np.arange(w.shape[-1])
            return direction

    run = begin(optimizer=Watching(lr=1.0), batch_size=45, normalization="none")
    before, after = trained(run).layers, trained(advance(run, 1)).layers
    for old, new in zip(before, after, strict=True):
        moved = old.weights - new.weights
        expected = np.broadcast_to(np.arange(moved.shape[1]), moved.shape)
        np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_the_vector_scope_sees_everything_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "BLOCK", 5)
    seen: list[tuple[tuple[int, ...], int | None, str]] = []

    class Watching(Optimizer):
        name = "watching"
        scope = "vector"

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            seen.append((w.shape, step.layer, step.role))
            return g

    path = Path(Watching())
    path.step(1.0)
    path.step(1.0)
    assert seen == [((20,), None, "all")] * 2


def test_steps_are_counted_from_1_and_go_on_after_a_pause() -> None:
    seen: list[int] = []

    class Watching(Optimizer):
        name = "watching"
        scope = "vector"

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            seen.append(step.t)
            return g

    advance(advance(begin(optimizer=Watching()), 1), 2)
    assert seen == list(range(1, 10))


# What a rule may do with its state. Each writes the same formula, momentum, in another way.


class Momentum(Optimizer):
    """The plain way: bind new arrays."""

    name = "momentum"
    slots: ClassVar[tuple[str, ...]] = ("m",)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        m: Array = 0.5 * state["m"] + g
        state["m"] = m
        return m.copy()


class ReturnsItsSlot(Momentum):
    name = "returns_its_slot"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["m"] = 0.5 * state["m"] + g
        return state["m"]  # type: ignore[no-any-return]


class WritesIntoItsSlot(Momentum):
    name = "writes_into_its_slot"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        m: Array = state["m"]
        m *= 0.5
        m += g
        return m


class KeepsTheGradients(Momentum):
    """The sum over all gradients so far, of which the last is stored as it was handed in."""

    name = "keeps_the_gradients"
    slots = ("last", "sum")

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["sum"] = 0.5 * (state["sum"] + state["last"])
        state["last"] = g
        return state["sum"] + g  # type: ignore[no-any-return]


class MovesOneSlotToAnother(Momentum):
    """Remembers the momentum before the last, and what was added to it, to compute the last."""

    name = "moves_one_slot_to_another"
    slots = ("m", "old", "last")

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        before: Array = 0.5 * state["old"] + state["last"]
        state["old"] = state["m"]
        state["m"] = 0.5 * before + g
        state["last"] = g
        return 0.5 * before + g


class SwapsSlots(MovesOneSlotToAnother):
    name = "swaps_slots"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        before: Array = 0.5 * state["old"] + state["last"]
        state["m"], state["old"] = state["old"], state["m"]
        np.add(0.5 * before, g, out=state["m"])
        state["last"] = g
        return state["m"]  # type: ignore[no-any-return]


class KeepsViews(MovesOneSlotToAnother):
    name = "keeps_views"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        before: Array = 0.5 * state["old"] + state["last"]
        state["old"], state["m"] = state["m"][:], (0.5 * before + g)[:]
        state["last"] = g[:]
        return 0.5 * before + g


class NamesOneArrayTwice(Momentum):
    name = "names_one_array_twice"

    def initial_state(self, w: Array) -> State:
        return dict.fromkeys(("m", "other"), np.zeros_like(w))

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["other"] += 1
        state["m"] = 0.5 * state["m"] + g
        return state["m"]  # type: ignore[no-any-return]


class CountsItself(Momentum):
    """The sum of the discounts in a plain number, an array without axes, and an array of two."""

    name = "counts_itself"

    def initial_state(self, w: Array) -> State:
        zeros = {"flat": np.zeros(2, w.dtype), "scalar": np.zeros((), w.dtype), "number": 0.0}
        return {"m": np.zeros_like(w), **zeros}

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["flat"] = state["flat"] + 1
        state["scalar"] = state["scalar"] + 1
        state["number"] += 1
        assert state["flat"].tolist() == [state["number"]] * 2 == [float(state["scalar"])] * 2
        state["m"] = 0.5 * state["m"] + g
        return state["m"]  # type: ignore[no-any-return]


WAYS = [
    ReturnsItsSlot,
    WritesIntoItsSlot,
    KeepsTheGradients,
    MovesOneSlotToAnother,
    SwapsSlots,
    KeepsViews,
    NamesOneArrayTwice,
    CountsItself,
]


@pytest.mark.parametrize("scope", ["elementwise", "tensor", "vector"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_rule_may_treat_its_state_as_it_likes(way: type[Momentum], scope: str) -> None:
    rule = type(way.__name__, (way,), {"scope": scope})()
    plain, path = Path(Momentum()), Path(rule)
    for gradient in gradients():
        np.testing.assert_allclose(path.step(gradient), plain.step(gradient), rtol=1e-6)


@pytest.mark.parametrize("way", [Momentum, *WAYS], ids=lambda way: way.name)
def test_no_state_shares_memory_with_what_the_trainer_writes_into(way: type[Momentum]) -> None:
    path = Path(way())
    for gradient in gradients(2):
        path.step(gradient)
        owned = [value for value in path.slots[0].values() if isinstance(value, np.ndarray)]
        assert owned
        for i, array in enumerate(owned):
            others = [path.w, path.g, *owned[:i]]
            assert not any(np.shares_memory(array, other) for other in others)


# What a rule may not do.


class Broken(Optimizer):
    name = "broken"
    slots = ("m",)


def returning(answer: Callable[[Array, Array, State], Any]) -> Optimizer:
    class Returning(Broken):
        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            return answer(w, g, state)  # type: ignore[no-any-return]

    return Returning()


def binding(**values: Any) -> Callable[[Array, Array, State], Array]:
    def answer(w: Array, g: Array, state: State) -> Array:
        state.update({name: make(w, g) for name, make in values.items()})
        return g

    return answer


WRONG: dict[str, tuple[Callable[[Array, Array, State], Any], str]] = {
    "nothing": (lambda w, g, state: None, r"its direction is NoneType; expected an array"),
    "a number": (lambda w, g, state: 1.0, r"its direction is float; expected an array"),
    "a list": (lambda w, g, state: g.tolist(), r"its direction is list"),
    "one short": (lambda w, g, state: g[1:], r"its direction has shape \(19,\); expected \(20,\)"),
    "a row": (lambda w, g, state: g[None], r"its direction has shape \(1, 20\)"),
    "float64": (lambda w, g, state: g * np.float64(1), r"its direction has dtype float64; exp"),
    "integers": (lambda w, g, state: g.astype(int), r"its direction has dtype int64"),
    "no slot": (lambda w, g, state: state.pop("m"), r"state\['m'\] is NoneType"),
    "slot float64": (binding(m=lambda w, g: g * np.float64(1)), r"state\['m'\] has dtype float64"),
    "slot short": (binding(m=lambda w, g: g[1:]), r"state\['m'\] has shape \(19,\)"),
    "slot number": (binding(m=lambda w, g: 0.0), r"state\['m'\] is float; expected an array"),
    "undeclared": (binding(old=lambda w, g: g), r"state\['old'\] is an array, but was none"),
}


@pytest.mark.parametrize("what", WRONG)
def test_an_answer_that_cannot_be_used_names_the_optimizer_and_what_is_wrong(what: str) -> None:
    answer, message = WRONG[what]
    with pytest.raises(ComponentError, match=message) as caught:
        Path(returning(answer)).step(1.0)
    assert "optimizer 'broken'" in str(caught.value)


def test_the_hint_for_float64_says_where_it_comes_from() -> None:
    with pytest.raises(ComponentError, match="numpy float64 number in a formula"):
        Path(returning(WRONG["float64"][0])).step(1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda w: 0.0, r"its evaluation weights is float"),
        (lambda w: w[1:], r"its evaluation weights has shape"),
        (lambda w: w.astype(np.float64), r"its evaluation weights has dtype float64"),
    ],
)
def test_evaluation_weights_that_cannot_be_used_are_told_too(
    make: Callable[[Array], Any], message: str
) -> None:
    class Evaluating(Broken):
        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            return g

        def evaluation_weights(self, w: Array, state: State) -> Array:
            return make(w)  # type: ignore[no-any-return]

    with pytest.raises(ComponentError, match=message):
        advance(begin(optimizer=Evaluating()), 1)


# Evaluating elsewhere than training.


class Shifted(Optimizer):
    """Trains as gradient descent does, but evaluates a mirrored network."""

    name = "shifted"
    scope = "vector"

    def initial_state(self, w: Array) -> State:
        return {"steps": 0}

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["steps"] += 1
        return g

    def evaluation_weights(self, w: Array, state: State) -> Array:
        assert state["steps"], "nothing to evaluate elsewhere before the first step"
        return -w


@pytest.mark.parametrize("patience", [0, 2])
def test_evaluation_weights_are_what_is_validated_and_kept(patience: int) -> None:
    shifted = advance(begin(optimizer=Shifted(lr=0.1), patience=patience), 3)
    plain = advance(begin(optimizer=sgd()), 3)
    data = shifted.fold
    # Training goes on from the trained weights ...
    assert shifted.checkpoint.weights.tobytes() == plain.checkpoint.weights.tobytes()
    losses = [run.checkpoint.metrics["train_loss"][1:] for run in (shifted, plain)]
    assert losses[0] == losses[1]
    # ... while what is measured, kept and handed out are the others.
    assert shifted.checkpoint.metrics["val_loss"][1:] != plain.checkpoint.metrics["val_loss"][1:]
    assert score_on(shifted, data.x_validation, data.target_validation, None) == shifted.score
    if shifted.checkpoint.best_epoch == 3:
        mirrored, straight = trained(shifted).layers, trained(plain).layers
        for ours, theirs in zip(mirrored, straight, strict=True):
            assert np.array_equal(ours.weights, -theirs.weights)


def test_the_untrained_network_is_evaluated_at_its_own_weights() -> None:
    untrained, plain = begin(optimizer=Shifted()), begin(optimizer=sgd())
    assert untrained.checkpoint.metrics["val_loss"] == plain.checkpoint.metrics["val_loss"]


# What regularizers do to a step.


@pytest.mark.parametrize("block", [4, 12, 16384])
@pytest.mark.parametrize("scope", ["elementwise", "tensor", "vector"])
def test_penalties_act_on_weights_only(
    scope: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update, "BLOCK", block)

    class Plain(Optimizer):
        name = "plain"

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            return g

    rule = type("Plain", (Plain,), {"scope": scope})()
    penalties = tuple(component("regularizer", name, strength=0.5) for name in ("l1", "l2"))
    path = Path(rule, penalties)
    before = path.w.copy()
    moved = before - path.step(0.0, rate=1.0)
    expected = 0.5 * np.sign(before) + 0.5 * before
    weights = path.layout.weights
    assert weights == 2 * 3 + 3 * 2
    np.testing.assert_allclose(moved[:weights], expected[:weights], rtol=1e-5)
    assert not moved[weights:].any()


@pytest.mark.parametrize("limit", [0.1, 1.0])
def test_max_norm_holds_after_training(limit: float) -> None:
    regularizers = (component("regularizer", "max_norm", limit=limit),)
    run = advance(begin(optimizer=sgd(0.5), regularizers=regularizers), 3)
    free = advance(begin(optimizer=sgd(0.5)), 3)
    for layer, unlimited in zip(trained(run).layers, trained(free).layers, strict=True):
        assert np.linalg.norm(layer.weights, axis=0).max() <= limit * (1 + 1e-6)
        assert np.linalg.norm(unlimited.weights, axis=0).max() > 1.0
        assert layer.bias is None or layer.bias.any()


@pytest.mark.parametrize("limit", [1e-4, 1e-2, 1e6])
def test_gradient_clipping_bounds_the_length_of_a_step(limit: float) -> None:
    regularizers = (component("regularizer", "gradient_clipping", limit=limit),)
    changes: dict[str, Any] = {"optimizer": sgd(0.5), "batch_size": 45, "dtype": "float64"}
    data = fold()
    data = dataclasses.replace(
        data, x=data.x.astype(float), x_validation=data.x_validation.astype(float)
    )
    begun = begin(data, regularizers=regularizers, **changes)
    moved = begun.checkpoint.weights - advance(begun, 1).checkpoint.weights
    freely = begun.checkpoint.weights - advance(begin(data, **changes), 1).checkpoint.weights
    length = min(0.5 * limit, float(np.linalg.norm(freely)))
    assert np.linalg.norm(moved) == pytest.approx(length)
    np.testing.assert_allclose(moved, freely * (length / np.linalg.norm(freely)), rtol=1e-7)


def test_clipping_sees_the_data_losss_gradient_without_the_penalties() -> None:
    # Zeroed by the clipping, all that is left of a step is the penalty.
    class Nothing(Regularizer):
        name = "nothing"

        def on_gradient(self, g: Array) -> Array:
            return np.zeros_like(g)

    l2 = component("regularizer", "l2", strength=0.5)
    run = begin(optimizer=sgd(0.1), regularizers=(l2, Nothing()), batch_size=45)
    before, after = run.checkpoint.weights, advance(run, 1).checkpoint.weights
    weights = Layout.of((6, 8, 6, 3), "batch").weights
    np.testing.assert_allclose(after[:weights], before[:weights] * (1 - 0.05), rtol=1e-5)
    assert np.array_equal(after[weights:], before[weights:])


def test_targets_are_replaced_before_the_loss_sees_them() -> None:
    class AtTheBatch(Regularizer):
        name = "at_the_batch"

        def on_batch(self, x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
            return x, y[:, ::-1]

    class AtTheTargets(Regularizer):
        name = "at_the_targets"

        def on_targets(self, y: Array) -> Array:
            return y[:, ::-1]

    data = fold()
    mirrored = dataclasses.replace(data, target=2 - data.target)
    expected = advance(begin(mirrored), 3).checkpoint.weights
    for regularizer in (AtTheBatch(), AtTheTargets()):
        found = advance(begin(data, regularizers=(regularizer,)), 3).checkpoint.weights
        assert found.tobytes() == expected.tobytes()


def test_a_regularizer_may_write_into_the_gradient_the_batch_and_the_weights() -> None:
    class Copying(Regularizer):
        name = "acting"

        def on_batch(self, x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
            return x * 0.5, y

        def on_targets(self, y: Array) -> Array:
            return y * 0.5

        def on_gradient(self, g: Array) -> Array:
            return g * 0.5

        def on_weights(self, matrix: Array) -> Array:
            return matrix * 0.5

    class InPlace(Regularizer):
        name = "acting"

        def on_batch(self, x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
            x *= 0.5
            return x, y

        def on_targets(self, y: Array) -> Array:
            y *= 0.5
            return y

        def on_gradient(self, g: Array) -> Array:
            g *= 0.5
            return g

        def on_weights(self, matrix: Array) -> Array:
            matrix *= 0.5
            return matrix

    copying, in_place = (advance(begin(regularizers=(r(),)), 3) for r in (Copying, InPlace))
    assert in_place.checkpoint.weights.tobytes() == copying.checkpoint.weights.tobytes()
    assert in_place.fold.x.tobytes() == fold().x.tobytes()


@pytest.mark.parametrize("what", ["w", "g"])
def test_a_rule_that_writes_into_what_it_is_shown_is_stopped(what: str) -> None:
    class Writes(Momentum):
        name = "writes"

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            shown = w if what == "w" else g
            shown *= 0.5
            return g

    with pytest.raises(ValueError, match="read-only"):
        advance(begin(optimizer=Writes()), 1)
