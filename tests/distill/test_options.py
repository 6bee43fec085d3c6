"""What a trial changes on the command line, and what it leaves alone."""

import argparse

import pytest

pytest.importorskip("torch")

from distill.options import add_options, student_recipe, teacher_recipe
from distill.recipe import StudentRecipe, TeacherRecipe


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(arguments)


def test_without_options_the_recipe_is_the_shipped_one() -> None:
    assert student_recipe(parsed()) == StudentRecipe()
    assert teacher_recipe(parsed()) == TeacherRecipe()


def test_a_student_of_other_layers_is_asked_for_and_zero_is_a_value() -> None:
    recipe = student_recipe(parsed("--layers", "0,1,29", "--first-trained", "0", "--seed", "3"))

    assert (recipe.layers, recipe.first_trained, recipe.seed) == ((0, 1, 29), 0, 3)
    assert recipe.rows == StudentRecipe().rows


def test_a_teachers_alpha_follows_its_rank() -> None:
    recipe = teacher_recipe(parsed("--rank", "8", "--teacher-epochs", "0.5"))

    assert (recipe.shape.rank, recipe.shape.alpha, recipe.epochs) == (8, 16, 0.5)


def test_a_trial_on_one_core_changes_the_plan_of_the_stage_that_is_run() -> None:
    asked = parsed("--workers", "1", "--learning-rate", "0.0002", "--teacher-share", "0")

    for plan in (student_recipe(asked).plan, teacher_recipe(asked).plan):
        assert (plan.workers, plan.learning_rate) == (1, 0.0002)
    assert student_recipe(asked).plan.warmup_steps == StudentRecipe().plan.warmup_steps
    assert student_recipe(asked).teacher_share == 0
