from __future__ import annotations

import dataclasses
import inspect
import pickle
import typing
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import pytest

from tunekit import (
    Choice,
    Flag,
    Float,
    HyperparameterError,
    Int,
    Optimizer,
    PluginError,
    Progress,
    Schedule,
    Step,
)
from tunekit.components import KINDS
from tunekit.plugins import load
from tunekit.space import Choices, Interval


class Wave(Schedule):
    """Goes up and down.

    And up again.
    """

    name = "wave"
    period: int = Int(10, low=1, high=50, min=1)
    height: float = Float(0.5, low=0.1, high=1.0, log=True, min=0.0, max=2.0)
    shape: str = Choice("sine", ["sine", "square"])
    mirrored: bool = Flag(False)
    offset: float = 0
    note: ClassVar[str] = "not a hyperparameter"

    def factor(self, progress: Progress) -> float:
        return self.height


class Plain(Optimizer):
    name = "plain"
    slots = ("m", "v")

    def direction(self, w: Any, g: Any, state: Any, step: Step) -> Any:
        return g


class Quick(Plain):
    name = "quick"
    lr: float = Float(0.1, low=0.01, high=1.0, log=True)


# A component from a module without postponed annotations has types where others have texts.
Eager = type(
    "Eager",
    (Wave,),
    {
        "name": "eager",
        "__annotations__": {"note": ClassVar[str], "offset": float, "speed": float},
        "note": "still none",
        "offset": 2,
        "speed": Float(1.0, low=0.0, high=2.0),
    },
)


class TestHyperparameters:
    def test_they_are_the_annotated_fields_in_order(self) -> None:
        assert list(Wave.hyperparameters()) == ["period", "height", "shape", "mirrored", "offset"]

    def test_they_have_defaults(self) -> None:
        assert Wave().values() == {
            "period": 10,
            "height": 0.5,
            "shape": "sine",
            "mirrored": False,
            "offset": 0.0,
        }

    def test_they_are_given_by_name_only(self) -> None:
        assert Wave(period=3).period == 3
        with pytest.raises(TypeError):
            Wave(3)  # type: ignore[call-arg]

    def test_they_declare_what_is_searched(self) -> None:
        found = {name: declared.search for name, declared in Wave.hyperparameters().items()}
        assert found == {
            "period": Interval(1, 50, integer=True),
            "height": Interval(0.1, 1.0, log=True),
            "shape": Choices(("sine", "square")),
            "mirrored": Choices((False, True)),
            "offset": None,
        }

    def test_a_value_outside_the_search_range_is_legal(self) -> None:
        assert Wave(height=2.0).height == 2.0

    def test_values_take_on_the_declared_type(self) -> None:
        wave = Wave(height=1, period=7.0)  # type: ignore[arg-type]
        assert type(wave.height) is float
        assert type(wave.period) is int
        assert type(Wave().offset) is float

    def test_class_variables_are_none(self) -> None:
        assert "note" not in Wave.hyperparameters()
        assert "note" not in Eager.hyperparameters()  # type: ignore[attr-defined]
        with pytest.raises(HyperparameterError):
            Wave(note="x")  # type: ignore[call-arg]

    def test_types_work_as_annotations_just_as_texts_do(self) -> None:
        eager = Eager()
        assert eager.speed == 1.0
        assert type(eager.offset) is float
        assert eager.offset == 2.0

    def test_the_answer_is_a_copy(self) -> None:
        Wave.hyperparameters().clear()
        assert Wave.hyperparameters()


class TestWrongValues:
    @pytest.mark.parametrize(
        ("values", "key", "message"),
        [
            ({"heigth": 1.0}, "schedule.wave.heigth", "Did you mean 'height'?"),
            ({"qqq": 1.0}, "schedule.wave.qqq", "Known: height, mirrored, offset"),
            ({"height": -1.0}, "schedule.wave.height", "expected 0 or more, got -1"),
            ({"height": 3}, "schedule.wave.height", "expected 2 or less, got 3"),
            ({"height": float("nan")}, "schedule.wave.height", "expected a finite number"),
            ({"height": float("inf")}, "schedule.wave.height", "expected a finite number"),
            ({"height": "high"}, "schedule.wave.height", "expected a number, got 'high'"),
            ({"height": True}, "schedule.wave.height", "expected a number, got True"),
            ({"height": None}, "schedule.wave.height", "expected a number, got None"),
            ({"period": 2.5}, "schedule.wave.period", "expected a whole number, got 2.5"),
            ({"period": float("nan")}, "schedule.wave.period", "expected a whole number, got nan"),
            ({"mirrored": 1}, "schedule.wave.mirrored", "expected true or false, got 1"),
            ({"shape": "sin"}, "schedule.wave.shape", "Did you mean 'sine'?"),
            ({"shape": 3}, "schedule.wave.shape", "expected a text, got 3"),
        ],
    )
    def test_the_error_names_the_key_and_what_was_expected(
        self, values: dict[str, Any], key: str, message: str
    ) -> None:
        with pytest.raises(HyperparameterError) as caught:
            Wave(**values)
        assert caught.value.key == key
        assert message in caught.value.message

    def test_it_is_a_value_error_and_wrong_input(self) -> None:
        with pytest.raises(ValueError, match="lrr") as caught:
            Quick(lrr=1)  # type: ignore[call-arg]
        assert caught.value.exit_code == 2  # type: ignore[attr-defined]


class TestWrongDeclarations:
    def test_a_range_without_a_type_is_refused(self) -> None:
        with pytest.raises(PluginError, match=r"Bad\.rate has a range but no type"):
            type("Bad", (Plain,), {"rate": Float(0.5, low=0.0, high=1.0)})

    def test_a_field_without_a_default_is_refused(self) -> None:
        with pytest.raises(PluginError, match=r"Bad\.rate has no default"):
            type("Bad", (Plain,), {"__annotations__": {"rate": float}})

    def test_a_field_that_is_no_scalar_is_refused(self) -> None:
        with pytest.raises(PluginError, match=r"Bad\.betas = \(0\.9, 0\.99\)"):
            type("Bad", (Plain,), {"__annotations__": {"betas": tuple}, "betas": (0.9, 0.99)})

    def test_a_default_outside_the_limits_is_refused(self) -> None:
        with pytest.raises(HyperparameterError, match="its default: expected 1 or less"):
            type("Bad", (Plain,), {"__annotations__": {"rate": float}, "rate": Float(2.0, max=1)})


class TestInheritance:
    def test_every_optimizer_has_a_learning_rate_that_is_not_negative(self) -> None:
        assert Plain().lr == 1e-3
        assert Plain.hyperparameters()["lr"].search is None
        with pytest.raises(HyperparameterError):
            Plain(lr=-1.0)

    def test_a_redeclared_field_keeps_the_inherited_limits(self) -> None:
        assert Quick().lr == 0.1
        with pytest.raises(HyperparameterError, match=r"quick\.lr: expected 0 or more"):
            Quick(lr=-0.1)

    def test_redeclaring_does_not_reach_back_to_the_parent(self) -> None:
        assert Plain.hyperparameters()["lr"].default == 1e-3
        assert "speed" not in Wave.hyperparameters()

    def test_a_method_left_out_is_an_error_when_used(self) -> None:
        class Vague(Schedule):
            @abstractmethod
            def helper(self) -> None: ...

        with pytest.raises(TypeError, match="abstract"):
            Vague()  # type: ignore[abstract]


class TestComponentsAsValues:
    def test_they_are_frozen(self) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            Wave().period = 3  # type: ignore[misc]

    def test_they_are_equal_by_value_and_can_be_keys(self) -> None:
        assert Wave(period=3) == Wave(period=3) != Wave(period=4)
        assert len({Wave(period=3), Wave(period=3)}) == 1

    def test_their_repr_could_be_typed_in(self) -> None:
        assert eval(repr(Wave(period=3, shape="square"))) == Wave(period=3, shape="square")

    def test_they_survive_pickling(self) -> None:
        assert pickle.loads(pickle.dumps(Wave(period=3))) == Wave(period=3)

    def test_replace_checks_the_new_value(self) -> None:
        assert dataclasses.replace(Wave(), period=2).period == 2
        with pytest.raises(HyperparameterError):
            dataclasses.replace(Wave(), period=0)

    def test_their_signature_shows_the_hyperparameters(self) -> None:
        parameters = inspect.signature(Wave).parameters
        assert list(parameters) == ["period", "height", "shape", "mirrored", "offset"]
        assert parameters["period"].default == 10

    def test_their_summary_is_the_first_line_of_the_docstring(self) -> None:
        assert Wave.summary() == "Goes up and down."
        assert Plain.summary() == ""


def test_slots_start_at_zero_in_the_weights_shape_and_dtype() -> None:
    state = Plain().initial_state(np.ones((2, 3), np.float32))
    assert list(state) == ["m", "v"]
    for slot in state.values():
        assert slot.shape == (2, 3)
        assert slot.dtype == np.float32
        assert not slot.any()
    assert state["m"] is not state["v"]


def test_an_optimizer_evaluates_where_it_trains_unless_it_says_otherwise() -> None:
    w = np.ones(3)
    assert Plain().evaluation_weights(w, {}) is w


def test_kinds_are_known_by_their_names() -> None:
    assert all(base.kind == kind for kind, base in KINDS.items())
    assert len(KINDS) == 8


REGISTRY = load(entry_points=False)
BUILT_IN = [
    REGISTRY.find(base, name) for kind, base in KINDS.items() for name in REGISTRY.names(kind)
]


@pytest.mark.parametrize("cls", BUILT_IN, ids=lambda cls: f"{cls.kind}.{cls.name}")
class TestEveryBuiltIn:
    def test_its_defaults_make_a_component_that_survives_pickling(self, cls: type[Any]) -> None:
        assert pickle.loads(pickle.dumps(cls())) == cls()

    def test_it_says_in_one_line_what_it_is(self, cls: type[Any]) -> None:
        assert cls.summary().endswith(".")

    def test_its_default_lies_within_what_is_searched(self, cls: type[Any]) -> None:
        for declared in cls.hyperparameters().values():
            if isinstance(declared.search, Interval):
                assert declared.search.nearest(declared.default) == declared.default

    def test_every_searched_end_makes_a_component(self, cls: type[Any]) -> None:
        for name, declared in cls.hyperparameters().items():
            if isinstance(declared.search, Interval):
                for end in (declared.search.low, declared.search.high):
                    assert cls(**{name: end}).values()[name] == end

    def test_its_fields_are_annotated_as_what_they_hold(self, cls: type[Any]) -> None:
        hints = typing.get_type_hints(cls)
        for name, value in cls().values().items():
            assert type(value) is hints[name]
