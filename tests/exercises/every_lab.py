"""What is asked of the checks of every lab; each test module takes it over with a star-import."""


def test_right(check, right):
    verdict = check(right)
    assert (verdict.status, verdict.diagnosis) == ("passed", ""), verdict
    assert repr(verdict).startswith("✓") and "\n" not in verdict.message


def test_wrong(check, diagnosis, wrong):
    verdict = check(wrong)
    assert (verdict.status, verdict.diagnosis) == ("wrong", diagnosis), verdict
    assert repr(verdict).startswith("✗")


def test_stub(check, exercise):
    def stub(*args):
        """What the sheet holds."""
        raise NotImplementedError("your code here")

    assert check(stub).status == "not attempted"


def test_emptied(check, exercise):
    def emptied(*args):
        """What a learner may have left."""

    assert check(emptied).status == "not attempted"


def test_crash(check, exercise):
    def crashes(*args):
        return args[0] + undefined_name  # noqa: F821

    verdict = check(crashes)
    assert verdict.status == "crashed" and "return args[0] + undefined_name" in verdict.message


def test_every_exercise_is_here(checks, request):
    right, wrong = request.module.RIGHT, request.module.WRONG
    assert checks.LAB.exercises.keys() == right.keys() == wrong.keys()
    assert all(len(ways) >= 2 for ways in right.values()) and all(len(variants) >= 4 for variants in wrong.values())
