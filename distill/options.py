"""What of a recipe a trial may change on the command line, without an edit."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from distill.recipe import StudentRecipe, TeacherRecipe
from distill.shipped import Begin
from distill.teacher import AdapterShape


def _layer_list(text: str) -> tuple[int, ...]:
    return tuple(int(layer) for layer in text.split(","))


STUDENT: dict[str, Callable[[str], Any]] = {
    "layers": _layer_list,
    "first_trained": int,
    "epochs": float,
    "teacher_share": float,
    "digit_weight": float,
    "bits": int,
    "block": int,
    "seed": int,
    "begin": Begin,
}
"""Fields of `StudentRecipe`."""

TEACHER: dict[str, Callable[[str], Any]] = {
    "rank": int,
    "adapted_from": int,
    "teacher_epochs": float,
    "teacher_seed": int,
    "teacher_begin": Begin,
}
"""`rank` keeps alpha at twice the rank; `adapted_from` is the adapter's lowest layer."""

PLAN: dict[str, Callable[[str], Any]] = {
    "learning_rate": float,
    "final_share": float,
    "workers": int,
}
"""Fields of the `TrainPlan` of the stage that is run."""


def add_options(parser: argparse.ArgumentParser) -> None:
    of = {"the student": STUDENT, "the teacher": TEACHER, "the training plan": PLAN}
    for whose, options in of.items():
        for name, kind in options.items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help=f"of {whose}")


def student_recipe(asked: argparse.Namespace) -> StudentRecipe:
    """The recipe with what was asked for in its place."""
    usual = StudentRecipe()
    plan = replace(usual.plan, **dict(_given(asked, PLAN)))
    return replace(usual, plan=plan, **dict(_given(asked, STUDENT)))


def teacher_recipe(asked: argparse.Namespace) -> TeacherRecipe:
    """The recipe with what was asked for in its place."""
    usual, given = TeacherRecipe(), dict(_given(asked, TEACHER))
    rank = given.get("rank", usual.shape.rank)
    first = given.get("adapted_from", usual.shape.first_layer)
    return replace(
        usual,
        shape=AdapterShape(rank=rank, alpha=2 * rank, first_layer=first),
        epochs=given.get("teacher_epochs", usual.epochs),
        seed=given.get("teacher_seed", usual.seed),
        begin=given.get("teacher_begin", usual.begin),
        plan=replace(usual.plan, **dict(_given(asked, PLAN))),
    )


def _given(asked: argparse.Namespace, options: dict[str, Any]) -> list[tuple[str, Any]]:
    named = ((name, getattr(asked, name)) for name in options)
    return [(name, value) for name, value in named if value is not None]
