"""Functions as learners type them, stored as text: what a check must say of each; a test module takes it over with a
star-import.

A test module has SUBMISSIONS, exercise → (diagnosis, or "" where it is right; the body of the function), and ARGUMENTS,
exercise → what stands in the parentheses of its stub. A body may use all names of that module.
"""

import textwrap


def submitted(module, exercise, body):
    """The function that a learner has made of the stub."""
    text = f"def my_{exercise}({module.ARGUMENTS[exercise]}):\n" + textwrap.indent(body, "    ")
    made = {}
    exec(text, vars(module), made)
    return made[f"my_{exercise}"]


def assert_judged_rightly(check, exercise, module):
    """All submissions of an exercise get the diagnosis that stands beside them, and only right ones pass."""
    wanted = [diagnosis for diagnosis, _ in module.SUBMISSIONS[exercise]]
    verdicts = [check(submitted(module, exercise, body)) for _, body in module.SUBMISSIONS[exercise]]
    assert len(wanted) >= 10
    assert [verdict.diagnosis for verdict in verdicts] == wanted, verdicts
    assert [verdict.status == "passed" for verdict in verdicts] == [not diagnosis for diagnosis in wanted]


def test_submissions_are_judged_rightly(check, exercise, request):
    assert_judged_rightly(check, exercise, request.module)


def test_every_mistake_of_the_checks_has_a_variant(checks, request):
    """A mistake that no test makes could be written down wrongly."""
    wrong = request.module.WRONG.values()
    tables = {name: table for name, table in vars(checks).items() if name.endswith("_MISTAKES")}
    assert len(tables) >= len(wrong) - 1  # one exercise of Lab 4 is judged by properties
    for name, table in tables.items():
        assert any(table.keys() <= variants.keys() for variants in wrong), name
