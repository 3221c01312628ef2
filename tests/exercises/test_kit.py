"""The engine of the checks: whatever a learner's function does, a verdict comes out of it, and the right one."""

import _thread
import codecs
import errno
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from exercise_tools import running
from exercise_tools.kit import Lab, Verdict, call, compare, difference, strengths


def check_double(my_double):
    return f"twice 2 is {my_double(2)}."


def check_halve(my_halve):
    return f"half of 2 is {my_halve(2)}."


@pytest.fixture
def lab(tmp_path):
    return Lab(str(tmp_path / "checks.py"))


@pytest.fixture
def check(lab):
    """Asks for a function that doubles a tensor; a second exercise follows."""

    @lab.exercise("1.1", "Twice", stars=1, minutes=5)
    def check_double(my_double):
        mistakes = {
            "square": (torch.square, "Is it squared?"),
            "cut": (lambda x: 2 * x[:2], "Some is cut off."),
        }
        compare(my_double, lambda x: 2 * x, lambda: (torch.randn(4, 3),), mistakes)
        return "twice is twice."

    lab.exercise("1.2", "Half of it", stars=3, minutes=15)(check_halve)
    return check_double


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.2)


# ----------------------------------------------------------------------------------------- verdicts


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


def test_a_long_message_is_not_broken_inside_words():
    """JupyterLab would break it anywhere."""
    word = "x" * 90
    message = "Twice is not twice. " * 12 + f"The word is\n{word}"
    lines = repr(Verdict("1.1", "wrong", "", message)).split("\n")
    assert len(lines) == 5 and lines[-1].strip() == word and all(len(line) <= 88 for line in lines[:-1])
    assert " ".join(" ".join(lines).split()) == "✗ Exercise 1.1: " + " ".join(message.split())


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


# ------------------------------------------------------------------------------------ endless loops


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


def test_what_other_programs_take_is_not_the_functions_time(check, quick):
    def waits(x):
        time.sleep(0.4)
        return x + x

    assert check(waits).status == "passed"


def test_what_cannot_be_stopped_is_left_behind(check, quick, monkeypatch):
    monkeypatch.setattr(running, "_stop", lambda thread, done: False)
    go_on = threading.Event()
    verdict = check(lambda x: go_on.wait())
    go_on.set()
    assert verdict.status == "too slow" and "restart the kernel" in verdict.message


def test_the_users_own_interrupt_gets_through_and_stops_the_function(check):
    # a run in the background may ignore it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.3, _thread.interrupt_main).start()
        with pytest.raises(KeyboardInterrupt):
            check(loops)
        assert_no_thread_is_left()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_slow_but_finite_function_may_be_given_more_time(quick):
    assert call(lambda: time.sleep(0.3) or 1, seconds=5) == 1


# ------------------------------------------------------------------------------------ wrong results


@pytest.mark.parametrize(
    "function, diagnosis",
    [
        (lambda x: 3 * x, "wrong values"),
        (lambda x: x**2, "square"),
        (lambda x: x[:2] + x[:2], "cut"),
        (lambda x: x.mul_(2), "changes its input"),
        (lambda x: x.resize_(2, 3) * 2, "changes its input"),
    ],
)
def test_wrong(check, function, diagnosis):
    assert (check(function).status, check(function).diagnosis) == ("wrong", diagnosis)


def yields(x):
    yield from 2 * x


def forgets(x):
    x = 2 * x


# What comes in place of a tensor (4, 3) of float32, the diagnosis, and what the message must hold.
ODD = [
    (
        lambda x: (2 * x).numpy(),
        "not a tensor",
        "a NumPy array of shape (4, 3), dtype float32. torch.as_tensor(",
    ),
    (lambda x: np.float64(2.0), "not a tensor", "a float64. torch.as_tensor("),
    (
        lambda x: (2 * x).tolist(),
        "not a tensor",
        "a list of length 4. torch.tensor(…, dtype=torch.float32)",
    ),
    (
        lambda x: [2 * row for row in x],
        "not a tensor",
        "a list of length 4. torch.stack or torch.cat",
    ),
    (yields, "not a tensor", "a generator, of which nothing is computed yet"),
    (lambda x: map(float, x[0]), "not a tensor", "a map, of which nothing is computed yet"),
    (lambda x: (2 * x,), "not a tensor", "a comma too many"),
    (lambda x: (2 * x, 1), "not a tensor", "a tuple of length 2."),
    (lambda x: {"x": 2 * x}, "not a tensor", "a dict of length 1."),
    (lambda x: "2 x", "not a tensor", "a str of length 3."),
    (lambda x: 3, "not a tensor", "should be a tensor of shape (4, 3), it is an int."),
    (lambda x: x.double, "not a tensor", "are the parentheses of a call missing?"),
    (forgets, "nothing returned", "is a `return` missing?"),
    (
        lambda x: (2 * x).sum(),
        "wrong shape",
        "it has (), one number: is a mean or a sum taken over too much?",
    ),
    (lambda x: 2 * x[None], "wrong shape", "it has (1, 4, 3): too many axes of length 1."),
    (lambda x: 2 * x.T, "wrong shape", "it has (3, 4): the axes are in another order."),
    (lambda x: 2 * x[:2], "wrong shape", "should have shape (4, 3), it has (2, 3)."),
    (
        lambda x: 2 * x.double(),
        "wrong dtype",
        "it has torch.float64: .to(torch.float32) converts it.",
    ),
    (lambda x: 2 * x.to("meta"), "wrong device", 'it has meta: .to("cpu") converts it.'),
    (
        lambda x: 2 * x / (x > 0),
        "not finite",
        " of 12 values are NaN or infinite: is something divided by 0",
    ),
]


@pytest.mark.parametrize("function, diagnosis, words", ODD)
def test_an_odd_result_is_named_with_what_to_do(lab, function, diagnosis, words):
    @lab.exercise("1.1", "Twice", stars=1, minutes=5)
    def check_double(my_double):
        compare(my_double, lambda x: 2 * x, lambda: (torch.randn(4, 3),), {})

    verdict = check_double(function)
    assert (verdict.status, verdict.diagnosis) == ("wrong", diagnosis)
    assert words in verdict.message


@pytest.mark.parametrize(
    "got, expected, words",
    [
        (torch.ones(2), 2, "one number, it is a tensor of shape (2,), dtype torch.float32."),
        (torch.ones(0), torch.tensor(2.0), "one number, it is a tensor of shape (0,)"),
        (torch.tensor(True), 1, "it is a tensor of shape (), dtype torch.bool."),
        (np.ones((2, 3)), 2, "it is a NumPy array of shape (2, 3), dtype float64."),
        ([2], 2, "it is a list of length 1."),
        (None, 2, "it is None: is a value missing"),
        (True, 1, "it is a bool."),
        (2 + 0j, 2, "it is a complex."),
        ((1, 2, 3), (1, 2), "should be 2 parts, as a tuple or list; it is a tuple of length 3."),
        (torch.ones(2, 4), (1, 2), "it is a tensor of shape (2, 4), dtype torch.float32."),
        ((i for i in (1, 2)), [1, 2], "a generator, of which nothing is computed yet"),
        (
            (1, None),
            (1, torch.ones(2)),
            "part 2 of the result should be a tensor of shape (2,), it is None",
        ),
        ((1, 3), (1, 2), "part 2 of the result is wrong: expected 2, got 3."),
        (1.00002, 1.0, "expected 1, got 1.00002."),
        (
            torch.tensor(2.0),
            torch.full((1,), 2.0),
            "should have shape (1,), it has (): too few axes of length 1.",
        ),
        (torch.ones(1, 3, 2), torch.ones(3, 1, 2), "the axes are in another order."),
    ],
)
def test_the_message_of_a_difference(got, expected, words):
    assert words in difference(got, expected, tolerance=1e-6)[1]


def test_a_general_message_has_both_numbers_and_the_place(lab):
    @lab.exercise("1.1", "Twice", stars=1, minutes=5)
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
        (torch.tensor([[2.0]], dtype=torch.float64, requires_grad=True), 2, None),
        (np.float32(2), torch.tensor(2.0), None),
        (np.array([2]), 2, None),
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
    nearly = describe((x, 100, noise), 0.9 * x, 0.90001 * x)
    assert nearly is None  # "you made 0.9 x; it should be 0.9 x" would help nobody


def test_a_check_leaves_the_random_numbers_alone_and_draws_new_ones(lab):
    seen = []

    @lab.exercise("1.1", "Twice", stars=1, minutes=5)
    def check_double(my_double):
        seen.append(torch.randn(()).item())

    torch.manual_seed(7)
    expected = torch.randn(3)
    torch.manual_seed(7)
    check_double(lambda x: x)
    check_double(lambda x: x)
    assert torch.equal(torch.randn(3), expected) and seen[0] != seen[1]


@pytest.fixture
def float64_session():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_a_session_of_float64_refuses_no_right_function(lab, float64_session):
    @lab.exercise("1.1", "Twice", stars=1, minutes=5)
    def check_double(my_double):
        compare(my_double, lambda n: torch.ones(n).float(), lambda: (5,), {})

    assert check_double(lambda n: torch.ones(n)).status == "passed"
    assert check_double(lambda n: 1 / 0).status == "crashed"
    assert torch.get_default_dtype() == torch.float64  # it is left as it was, also by a failure


# ------------------------------------------------------------------------------ on other code pages


SHOWS = """
import sys
from exercise_tools.kit import Lab, Verdict

lab = Lab(sys.argv[1])
lab.exercise("1.1", "Twice ᾱ", stars=3, minutes=5)(print)
lab.progress()
for status in ("passed", "wrong", "not attempted"):
    print(Verdict("1.1", status, "", "√(1-ᾱ_t) x̂_0, β² … \\ud800 ∇"))
"""


@pytest.mark.parametrize(
    "encoding, text",
    [
        ("ascii", "root (1-alpha-bar_t) x-hat_0, beta^2 ... ? ?"),
        ("cp1252", "root (1-alpha-bar_t) x-hat_0, beta² … ? ?"),
        ("utf-8", "√(1-ᾱ_t) x̂_0, β² … ? ∇"),
    ],
)
def test_a_console_of_another_code_page_prints_all(tmp_path, encoding, text):
    done, wrong, open_, star = "✓✗○★" if encoding == "utf-8" else "vxo*"
    command = [sys.executable, "-c", SHOWS, str(tmp_path / "checks.py")]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    root = Path(__file__).parents[2]
    result = subprocess.run(command, env=environment, cwd=root, capture_output=True)
    assert result.returncode == 0, result.stderr.decode()
    title = "Twice ᾱ" if encoding == "utf-8" else "Twice alpha-bar"
    assert result.stdout.decode(encoding).splitlines() == [
        f"{open_} 1.1  {title}  {3 * star}   5 minutes",
        "0 of 1 passed",
        *(f"{mark} Exercise 1.1: {text}" for mark in (done, wrong, open_)),
    ]


# ----------------------------------------------------------------------------------------- progress


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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_progress_is_read_in_any_encoding_and_unknown_names_stay(lab, check, noted, encoding):
    noted = {"halve": "def my_halve…", "of a newer version": "", "größer": ""}
    text = json.dumps(noted, ensure_ascii=False)
    lab.file.write_text(text, encoding=encoding)
    assert lab.passed() == {"halve"}
    assert check(lambda x: 2 * x).message == "twice is twice."
    assert lab.passed() == {"double", "halve"}
    assert json.loads(lab.file.read_text(encoding="utf-8")) == noted | {"double": ""}
    assert [path.name for path in lab.file.parent.iterdir()] == ["progress.json"]


def test_the_function_that_passed_is_kept(lab, check, noted):
    lab.file.write_text('["halve"]')  # as an earlier version of the course wrote it

    def my_double(x):
        # twice
        return x + x

    check(my_double)
    code = "def my_double(x):\n    # twice\n    return x + x\n"
    assert lab.functions() == {"double": code, "halve": ""}
    check(functools.partial(torch.mul, 2))  # right, too, but nobody knows what was typed
    assert lab.functions()["double"] == ""


DAMAGED = [
    b"",
    b'["halve"',
    b"[1, 2]",
    b'{"halve": true}',
    b"null",
    b'[["halve"]]',
    b"\x00",
    b'["halve\xff"]',
    codecs.BOM_UTF16_LE + b'["',
    b"[" * 100_000,
]


@pytest.mark.parametrize("damaged", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_kept_and_said_once(lab, check, noted, damaged):
    for name in ("progress.json.bak", "progress.json.bak2"):  # nor is a kept one ever lost
        lab.file.write_bytes(damaged)
        assert lab.passed() == set()
        assert lab.table().splitlines()[-1] == "progress.json is damaged: what was passed before is not shown"
        message = check(lambda x: 2 * x).message
        assert message == f"twice is twice. (progress.json was damaged: it is kept as {name}.)"
        assert lab.file.with_name(name).read_bytes() == damaged
        assert check(lambda x: 2 * x).message == "twice is twice."
        assert lab.passed() == {"double"} and lab.table().endswith("1 of 2 passed")
    assert lab.file.with_name("progress.json.bak").read_bytes() == damaged
    assert len(list(lab.file.parent.iterdir())) == 3


@pytest.mark.parametrize("stored", [None, b'["halve"]', b'["halve"'], ids=["none", "sound", "damaged"])
def test_on_a_read_only_mount_exercises_pass_and_it_is_said_once(lab, check, noted, stored, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    if stored:
        lab.file.write_bytes(stored)
    with monkeypatch.context() as patch:  # no permissions: root may write whatever they say
        for operation in (
            "write_text",
            "write_bytes",
            "replace",
            "rename",
            "unlink",
            "mkdir",
            "touch",
        ):
            patch.setattr(Path, operation, refuse)
        verdict = check(lambda x: 2 * x)
        assert verdict.status == "passed"
        reason = os.strerror(errno.EROFS)
        assert verdict.message == f"twice is twice. (This could not be noted in progress.json: {reason}.)"
        assert check(lambda x: 2 * x).message == "twice is twice."
        assert "double" in lab.passed() and "✓ 1.1" in lab.table()
    assert (lab.file.read_bytes() if lab.file.exists() else None) == stored
    lab.record("halve")  # as soon as it can be written, all is noted
    assert json.loads(lab.file.read_text(encoding="utf-8")) == {"double": "", "halve": ""}
    lab.file.unlink()  # a learner begins anew
    assert lab.passed() == set()


@pytest.mark.parametrize("obstacle", ["a file for the folder", "a folder for the file", "a loop of links"])
def test_paths_that_cannot_be_opened(tmp_path, noted, obstacle):
    folder = tmp_path / "lab"
    if obstacle == "a file for the folder":
        folder.touch()
    elif obstacle == "a folder for the file":
        (folder / "progress.json").mkdir(parents=True)
    else:
        folder.mkdir()
        (folder / "progress.json").symlink_to("progress.json")
    lab = Lab(str(folder / "checks.py"))
    lab.exercise("1.1", "Twice", stars=1, minutes=5)(check_double)
    assert lab.table().splitlines()[1:] == [
        "0 of 1 passed",
        "progress.json cannot be read: what was passed before is not shown",
    ]
    assert lab.record("double").startswith("(This could not be noted in progress.json: ")
    assert lab.record("double") == "" and lab.passed() == {"double"}


def test_what_has_passed_is_used_from_then_on(lab, check, capsys):
    def double(x):
        """The module's."""

    def my_double(x):
        return 2 * x

    def words():
        return capsys.readouterr().out

    assert lab.yours(double) is double
    assert words() == "From here on: the module's double, until exercise 1.1 is passed.\n"
    assert check(my_double).status == "passed"
    assert lab.yours(double) is my_double
    assert words() == "From here on: your own my_double.\n"
    assert check(lambda x: x).status == "wrong"  # changed afterwards, and now wrong
    assert lab.yours(double) is double


def test_progress_can_be_switched_off(lab, check):
    assert check(lambda x: 2 * x).status == "passed" and not lab.file.exists()
