"""The engine of the checks: whatever a learner's function does, a verdict comes out of it, and the right one."""

import _thread
import signal
import sys
import threading
import time

import pytest
import torch

from exercise_tools import running
from exercise_tools.kit import Exercise, Lab, call, compare, difference, strengths


@pytest.fixture
def lab(tmp_path):
    return Lab(
        str(tmp_path / "checks.py"),
        [Exercise("double", "1.1", "Twice", 1, 5), Exercise("halve", "1.2", "Half of it", 3, 15)],
    )


@pytest.fixture
def check(lab):
    """Asks for a function that doubles a tensor."""

    @lab.check("double")
    def check_double(my_double):
        mistakes = {"square": (torch.square, "Is it squared?"), "cut": (lambda x: 2 * x[:2], "Some is cut off.")}
        compare(my_double, lambda x: 2 * x, lambda: (torch.randn(4, 3),), mistakes)
        return "twice is twice."

    return check_double


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.2)


# ------------------------------------------------------------------------------------------------------------- verdicts


def test_passed(check):
    verdict = check(lambda x: x + x)
    assert (verdict.status, verdict.diagnosis) == ("passed", "")
    assert repr(verdict) == "✓ Exercise 1.1: twice is twice."


def stub(x):
    raise NotImplementedError("your code here")


def own_words(x):
    raise NotImplementedError


def only_pass(x):
    """A docstring."""
    pass


def only_dots(x): ...


def returns_dots(x):
    return ...


@pytest.mark.parametrize("function", [stub, own_words, only_pass, only_dots, returns_dots])
def test_not_attempted(check, function):
    verdict = check(function)
    assert (verdict.status, verdict.diagnosis) == ("not attempted", "not attempted")
    assert repr(verdict) == "○ Exercise 1.1: not attempted yet."


def test_a_forgotten_return_is_not_a_stub(check):
    def forgetful(x):
        y = 2 * x  # noqa: F841

    assert (check(forgetful).status, check(forgetful).diagnosis) == ("wrong", "nothing returned")


def test_a_notimplementederror_of_torch_is_a_crash(check):
    assert check(lambda x: torch.empty(3, device="meta").numpy() + x).status == "crashed"

    def unsupported(x):
        raise NotImplementedError("no kernel for this")

    assert check(unsupported).status == "crashed"


def endless_recursion(x):
    return endless_recursion(x)


def leaves(x):
    sys.exit(1)


def interrupts(x):
    raise KeyboardInterrupt


def divides(x):
    return x / (1 // 0)


def stops_iteration(x):
    return next(iter([]))


@pytest.mark.parametrize(
    "function, diagnosis",
    [
        (endless_recursion, "RecursionError"),
        (leaves, "SystemExit"),
        (interrupts, "KeyboardInterrupt"),
        (divides, "ZeroDivisionError"),
        (stops_iteration, "StopIteration"),
        (lambda: 1, "TypeError"),
        (lambda x: undefined_name, "NameError"),  # noqa: F821
    ],
)
def test_crashed(check, function, diagnosis):
    verdict = check(function)
    assert (verdict.status, verdict.diagnosis) == ("crashed", diagnosis)
    assert diagnosis in repr(verdict)


def test_a_crash_shows_the_learners_own_line_not_torchs(check):
    def my_function(x):
        y = x + 1
        return torch.nn.functional.conv2d(y, torch.ones(2, 2))  # mine

    verdict = check(my_function)
    number = my_function.__code__.co_firstlineno + 2
    assert verdict.message.endswith(
        f"in your line {number}: return torch.nn.functional.conv2d(y, torch.ones(2, 2))  # mine"
    )


def test_the_line_is_found_under_a_decorator(check):
    @torch.no_grad()
    def my_function(x):
        return x @ x  # mine

    assert check(my_function).message.endswith("return x @ x  # mine")


def test_a_line_of_a_notebook_cell(check):
    """Cells are known to linecache under made-up file names."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.run_cell("def my_function(x):\n    half = x / 2\n    return half.no_such_thing")
    assert check(shell.user_ns["my_function"]).message.endswith("in your line 3: return half.no_such_thing")


# -------------------------------------------------------------------------------------------------------- endless loops


def loops(x):
    while True:
        pass


def swallows(x):
    while True:
        try:
            x = x + 1
        except Exception:
            pass


def swallows_a_few(x):
    for _ in range(3):
        try:
            while True:
                x = x + 1
        except:  # noqa: E722
            pass
    return x


def assert_no_thread_is_left():
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and "work" in thread.name:
            thread.join(2)
            assert not thread.is_alive()


@pytest.mark.parametrize("function", [loops, swallows, swallows_a_few])
def test_an_endless_loop_is_stopped(check, quick, function):
    began = time.monotonic()
    verdict = check(function)
    assert (verdict.status, verdict.diagnosis) == ("too slow", "too slow")
    assert "restart" not in verdict.message
    assert time.monotonic() - began < 3
    assert_no_thread_is_left()


def test_what_cannot_be_stopped_is_left_behind(check, quick, monkeypatch):
    monkeypatch.setattr(running, "_stop", lambda thread, done: False)
    go_on = threading.Event()
    verdict = check(lambda x: go_on.wait())
    go_on.set()
    assert verdict.status == "too slow" and "restart the kernel" in verdict.message


def test_the_users_own_interrupt_gets_through_and_stops_the_function(check):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background may ignore it
    try:
        threading.Timer(0.3, _thread.interrupt_main).start()
        with pytest.raises(KeyboardInterrupt):
            check(loops)
        assert_no_thread_is_left()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_slow_but_finite_function_may_be_given_more_time(quick):
    assert call(lambda: time.sleep(0.3) or 1, seconds=5) == 1


# ------------------------------------------------------------------------------------------------------- wrong results


@pytest.mark.parametrize(
    "function, diagnosis",
    [
        (lambda x: (2 * x).numpy(), "not a tensor"),
        (lambda x: 2.0, "not a tensor"),
        (lambda x: 2 * x[None], "wrong shape"),
        (lambda x: 2 * x.double(), "wrong dtype"),
        (lambda x: (2 * x).to("meta"), "wrong device"),
        (lambda x: 2 * x / (x > 0), "not finite"),
        (lambda x: 3 * x, "wrong values"),
        (lambda x: x**2, "square"),
        (lambda x: x[:2] + x[:2], "cut"),
        (lambda x: x.mul_(2), "changes its input"),
        (lambda x: x.resize_(2, 3) * 2, "changes its input"),
    ],
)
def test_wrong(check, function, diagnosis):
    assert (check(function).status, check(function).diagnosis) == ("wrong", diagnosis)


def test_a_general_message_has_both_numbers_and_the_place(lab):
    @lab.check("double")
    def check_double(my_double):
        compare(my_double, lambda x: 2 * x, lambda: (torch.tensor([[1.0, 5.0]]),), {})

    assert check_double(lambda x: 3 * x).message == "the result is wrong, most at [0, 1]: expected 10, got 15."


@pytest.mark.parametrize("handed_over", [None, 3, torch.ones(2), "my_double"])
def test_not_a_function(check, handed_over):
    assert check(handed_over).diagnosis == "not a function"


def test_a_result_that_nobody_thought_of_does_not_take_the_notebook_down(check):
    class Odd(torch.Tensor):
        @property
        def shape(self):
            raise ValueError("odd")

    assert check(lambda x: x.as_subclass(Odd)).diagnosis == "odd result"


def test_gradients_do_not_disturb(check):
    w = torch.tensor(2.0, requires_grad=True)
    assert check(lambda x: w * x).status == "passed"


@pytest.mark.parametrize(
    "got, expected, diagnosis",
    [
        (torch.tensor(2.0), 2, None),
        (2, torch.tensor(2.0), None),
        (torch.tensor([2]), 2, None),
        (2.1, 2, "wrong values"),
        (float("nan"), 2, "not finite"),
        (torch.ones(2), 2, "not a number"),
        ("2", 2, "not a number"),
        ([(3, 1), (1, 0)], [(3, 1), (1, 0)], None),
        ([(3, 1), (2, 0)], [(3, 1), (1, 0)], "wrong values"),
        ([(3, 1)], [(3, 1), (1, 0)], "wrong number of results"),
        (torch.ones(2), (torch.ones(2), 1), "wrong number of results"),
        ((torch.ones(2), 1), [torch.ones(2), 1], None),
        (torch.ones(0), torch.ones(0), None),
        (torch.tensor([True, False]), torch.tensor([True, True]), "wrong values"),
    ],
)
def test_difference(got, expected, diagnosis):
    problem = difference(got, expected)
    assert (problem and problem[0]) == diagnosis


def test_strengths_reads_the_weights_off_the_result():
    x, noise = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    describe = strengths(x=0, noise=2, t=1)
    message = describe((x, 100, noise), 0.9 * x - 0.19 * noise, 0.9 * x + 0.43 * noise)
    assert message == "at t = 100 you made 0.9 x - 0.19 noise; it should be 0.9 x + 0.43 noise."
    assert describe((x, 100, noise), x**2, x) is None


def test_a_check_leaves_the_random_numbers_alone_and_draws_new_ones(lab):
    seen = []

    @lab.check("double")
    def check_double(my_double):
        seen.append(torch.randn(()).item())

    torch.manual_seed(7)
    expected = torch.randn(3)
    torch.manual_seed(7)
    check_double(lambda x: x)
    check_double(lambda x: x)
    assert torch.equal(torch.randn(3), expected) and seen[0] != seen[1]


# ------------------------------------------------------------------------------------------------------------- progress


@pytest.fixture
def noted(monkeypatch):
    monkeypatch.delenv("COURSE_PROGRESS")


def test_progress_is_kept_and_shown(lab, check, noted, capsys):
    assert lab.passed() == set()
    check(lambda x: 3 * x)
    assert lab.passed() == set() and not lab.file.exists()
    check(lambda x: 2 * x)
    check(lambda x: 3 * x)  # once passed stays passed
    assert lab.passed() == {"double"}
    lab.progress()
    assert capsys.readouterr().out.splitlines() == [
        "✓ 1.1  Twice       ★     5 minutes",
        "○ 1.2  Half of it  ★★★  15 minutes",
        "1 of 2 passed",
    ]
    assert [path.name for path in lab.file.parent.iterdir()] == ["progress.json"]


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '["gone"]', "3", "null", '[["double"]]', "\x00"])
def test_a_broken_file_counts_as_none_and_is_repaired(lab, check, noted, text):
    lab.file.write_text(text)
    assert lab.passed() == set()
    check(lambda x: 2 * x)
    assert lab.passed() == {"double"}


def test_a_folder_that_cannot_be_written_to(tmp_path, noted):
    lab = Lab(str(tmp_path / "nowhere" / "checks.py"), [Exercise("double", "1.1", "Twice", 1, 5)])
    lab.record("double")
    assert lab.passed() == set()


def test_progress_can_be_switched_off(lab, check):
    assert check(lambda x: 2 * x).status == "passed" and not lab.file.exists()
