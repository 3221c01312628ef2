"""Which PyTorch is taken where, without installing anything."""

import http.server
import os
import subprocess
import sys
import threading

import pytest

from support import install

SMALL = ["--extra-index-url", install.SMALL_BUILDS]


@pytest.fixture
def machine(monkeypatch):
    """A machine with or without a GPU, from which PyTorch's server answers or not."""

    def made(gpu=False, server=True):
        monkeypatch.setattr(install, "has_nvidia_gpu", lambda: gpu)
        monkeypatch.setattr(install, "answers", lambda address: server)

    return made


@pytest.mark.parametrize(
    ("torch", "gpu", "server", "options", "says"),
    [
        ("auto", False, True, SMALL, "small build, without CUDA (no NVIDIA GPU was found)"),
        ("auto", False, False, [], "default build, several GB, since the server of the small build does not answer"),
        ("auto", True, True, [], "NVIDIA GPUs, several GB (an NVIDIA GPU was found)"),
        ("cpu", True, True, SMALL, "small build, without CUDA (as you asked)"),
        ("cuda", False, True, [], "NVIDIA GPUs, several GB (as you asked)"),
    ],
)
def test_on_linux(torch, gpu, server, options, says, machine):
    machine(gpu, server)
    taken, sentence = install.choose(torch, "linux")
    assert taken == options and says in sentence


@pytest.mark.parametrize("system", ["win32", "darwin"])
@pytest.mark.parametrize("torch", ["auto", "cpu"])
def test_elsewhere_pip_has_a_small_build(torch, system, machine):
    machine(gpu=True, server=False)
    assert install.choose(torch, system) == ([], "PyTorch: pip's build for this system, without CUDA")


@pytest.mark.parametrize(
    ("torch", "system", "complaint"),
    [("cpu", "linux", "does not answer"), ("cuda", "win32", "get-started"), ("cuda", "darwin", "get-started")],
)
def test_a_build_that_cannot_be_had(torch, system, complaint, machine):
    machine(server=False)
    with pytest.raises(ValueError, match=complaint):
        install.choose(torch, system)


@pytest.mark.skipif(sys.platform == "win32", reason="a program of one line is a shell script here")
@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo 'GPU 0: NVIDIA H100'", True),
        ("echo 'No devices were found'", False),
        ("echo 'GPU 0: the driver does not answer'; exit 9", False),
        (None, False),
    ],
    ids=["a GPU", "a driver without a GPU", "a driver that fails", "no driver"],
)
def test_gpu(script, found, tmp_path, monkeypatch):
    if script:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install.has_nvidia_gpu() == found


@pytest.fixture
def server():
    """A server of this machine's own: /there is there, /slow never ends."""
    stop = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/slow":
                stop.wait(20)
            else:
                self.send_response(200 if self.path == "/there" else 404)
                self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        stop.set()
        running.shutdown()


def test_a_server_answers_or_not(server, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    assert install.answers(f"{server}/there")
    assert not install.answers(f"{server}/gone")
    assert not install.answers(f"{server}/slow", seconds=0.2)
    assert not install.answers("http://127.0.0.1:9/", seconds=1)
    assert not install.answers("no address")


def test_pytorch_comes_first_and_from_its_server_alone(monkeypatch, capfd):
    """Other packages are not looked for on PyTorch's server, and all versions are those of constraints.txt."""
    ran, done = [], subprocess.CompletedProcess([], 0)
    monkeypatch.setattr(install.subprocess, "run", lambda command: ran.append(command) or done)
    monkeypatch.setattr(install, "choose", lambda torch: (SMALL, "said first"))
    assert install.main([]) == 0
    first, rest = ran
    assert first[-4:] == ["torch", "torchvision", *SMALL] and rest[-2] == "-r" and not {*rest} & {*SMALL}
    assert all(command[:3] == [sys.executable, "-m", "pip"] for command in ran)
    assert all(str(install.ROOT / "constraints.txt") in command for command in ran)
    assert capfd.readouterr().out.splitlines()[0] == "said first"


def test_it_stops_where_pip_stops(monkeypatch):
    ran, failed = [], subprocess.CompletedProcess([], 3)
    monkeypatch.setattr(install.subprocess, "run", lambda command: ran.append(command) or failed)
    monkeypatch.setattr(install, "choose", lambda torch: (SMALL, ""))
    assert install.main([]) == 3 and len(ran) == 1


def test_a_wrong_choice_is_one_line(machine, monkeypatch, capsys):
    machine(server=False)
    choose = install.choose
    monkeypatch.setattr(install, "choose", lambda torch: choose(torch, "linux"))
    with pytest.raises(SystemExit) as stopped:
        install.main(["--torch", "cpu"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("python -m support.install: error: ") and said.count("\n") == 1


def test_it_needs_nothing_that_is_not_installed_yet():
    """With Python's own library alone, as in a new environment."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-S", "-m", "support.install", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=install.ROOT)
    assert "--torch" in done.stdout, done.stderr
