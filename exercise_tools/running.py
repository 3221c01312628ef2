"""Run a learner's function so that nothing it does can take the notebook down."""

from __future__ import annotations

import ast
import ctypes
import inspect
import textwrap
import threading
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor

SECONDS = 5.0  # of computing that a learner's function may take for one call
PATIENCE = 5  # times as long by the clock, for a machine that has much else to do
STUB = "your code here"  # the words of the NotImplementedError in an exercise sheet


class Failed(Exception):  # noqa: N818  (a result, not an error)
    """Ends a check: (status, diagnosis, message)."""


def fail(diagnosis: str, message: str, status: str = "wrong") -> NoReturn:
    """End the check with what a `Verdict` holds but the exercise."""
    raise Failed(status, diagnosis, message)


def call(function: Callable, *args: object, seconds: float | None = None) -> object:
    """What the learner's function returns.

    Raises:
        Failed: it is a stub, crashes, computes for more than ``seconds`` (default: SECONDS), returns
            nothing, or changes a tensor of ``args``.
    """
    before = [arg.clone() if isinstance(arg, Tensor) else None for arg in args]
    result, error = _run(function, args, seconds or SECONDS)
    # torch raises NotImplementedErrors, too, but they say something else
    if isinstance(error, NotImplementedError) and str(error) in ("", STUB):
        fail("not attempted", "not attempted yet.", "not attempted")
    if error is not None:
        kind = type(error).__name__
        fail(kind, f"your code stopped with {kind}: {error}{_own_line(error, function)}", "crashed")
    if result is None or result is ...:
        if _is_empty(function):
            fail("not attempted", "not attempted yet.", "not attempted")
        fail("nothing returned", "your function returns nothing: is a `return` missing?")
    for i, (old, arg) in enumerate(zip(before, args, strict=True), start=1):
        if old is not None and not torch.equal(old, arg):
            message = f"your function changes its input number {i}. Write x = x * 2, not x *= 2."
            fail("changes its input", message)
    return result


class _Stop(BaseException):
    """Thrown into an endless loop; no Exception, so that `except Exception` lets it through."""


def _run(function: Callable, args: tuple, seconds: float) -> tuple[object, BaseException | None]:
    """The function's result or its exception, from a thread, which can be stopped from outside."""
    result, error, done = None, None, threading.Event()

    def work() -> None:
        nonlocal result, error
        try:
            result = function(*args)
        except BaseException as raised:  # SystemExit, too, is only a learner's mistake
            error = raised
        finally:
            done.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    began, computed = time.monotonic(), time.process_time()

    def late() -> bool:
        waited = time.monotonic() - began
        busy = min(waited, time.process_time() - computed)  # threads compute side by side
        return busy > seconds or waited > PATIENCE * seconds

    try:
        while not done.is_set() and not late():
            done.wait(0.05)  # in short pieces, so that the stop button works on Windows as well
        unfinished = not done.is_set()
    finally:
        stopped = _stop(thread, done)
    if unfinished:
        end = "stopped" if stopped else "it goes on, and cannot be stopped: restart the kernel"
        message = f"no result after {seconds:g} seconds, {end}. Is there a loop that never ends?"
        fail("too slow", message, "too slow")
    return result, error


def _stop(thread: threading.Thread, done: threading.Event) -> bool:
    """Throw _Stop into the thread until it is done, for a bare `except:` may catch the first."""
    for _ in range(40):
        if done.is_set():
            break
        ident = ctypes.c_ulong(thread.ident)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(_Stop))
        done.wait(0.05)
    return done.is_set()


def _own_line(error: BaseException, function: Callable) -> str:
    """The last line of the learner's own file or cell on the way to the error, none of torch's."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if code and frame.filename == code.co_filename]
    return f"\n  in your line {own[-1].lineno}: {own[-1].line}" if own else ""


def _is_empty(function: Callable) -> bool:
    """Whether the body is nothing but a docstring, `pass`, `...` or a bare `return`."""
    try:
        body = getattr(ast.parse(textwrap.dedent(inspect.getsource(function))).body[0], "body", [])
    except (OSError, TypeError, SyntaxError):  # no source to look at
        return True

    def empty(line: ast.stmt) -> bool:
        plain = isinstance(line, ast.Pass | ast.Expr | ast.Return)
        return plain and isinstance(getattr(line, "value", None), ast.Constant | None)

    return all(map(empty, body))
