"""The server for a class: the hub starts by the course's configuration, a learner logs in, and a notebook's cell runs.

Only where jupyterhub, nbgitpuller and configurable-http-proxy are installed; SERVER.md says how.
"""

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

CONFIG = Path(__file__).resolve().parents[2] / "teaching" / "jupyterhub_config.py"
# In place of accounts of the machine: one password, and all learners are who runs the test.
TRIAL = """
load_subconfig({config!r})
c = get_config()
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = "sixteen-by-sixteen"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {home!r}
c.Spawner.args = [*c.Spawner.args, "--allow-root"]
c.JupyterHub.bind_url = "http://127.0.0.1:{ports[0]}"
c.JupyterHub.hub_port = {ports[1]}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{ports[2]}"
"""


def free_ports(n):
    """Numbers of ports that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The address of a running hub, and a folder with a course in git."""
    for package in ("jupyterhub", "nbgitpuller"):
        if not importlib.util.find_spec(package):
            pytest.skip(f"{package} is not installed")
    if not shutil.which("configurable-http-proxy"):
        pytest.skip("configurable-http-proxy is not on the PATH")
    folder = tmp_path_factory.mktemp("hub")
    course = folder / "course"
    (course / "L1_Sampling").mkdir(parents=True)
    (course / "L1_Sampling" / "sheet.ipynb").write_text("{}")
    git = ["git", "-C", str(course), "-c", "user.name=t", "-c", "user.email=t@t"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "the course"]):
        subprocess.run([*git, *command], check=True)
    ports = free_ports(3)
    trial = folder / "trial_config.py"
    trial.write_text(TRIAL.format(config=str(CONFIG), home=str(folder / "home" / "{username}"), ports=ports))
    (folder / "state").mkdir()
    (folder / "home").mkdir()
    environment = os.environ | {"COURSE_HUB_STATE": str(folder / "state")}
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "jupyterhub", "-f", str(trial)]
        running = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{ports[0]}"
    try:
        wait_for(lambda: answers(address), 60, lambda: (folder / "log").read_text()[-2000:])
        yield address, folder
    finally:
        running.terminate()
        running.wait(30)


def answers(address):
    try:
        return requests.get(f"{address}/hub/login", timeout=5).ok
    except requests.ConnectionError:
        return False


def wait_for(true, seconds, otherwise):
    until = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < until, otherwise()
        time.sleep(0.5)
    return found


def log_in(address, name, password):
    """A session after a try to log in, and the answer."""
    session = requests.Session()
    page = session.get(f"{address}/hub/login")
    token = re.search(r'name="_xsrf" value="([^"]+)"', page.text)[1]
    data = {"username": name, "password": password, "_xsrf": token}
    return session, session.post(f"{address}/hub/login?next=", data=data)


def test_a_wrong_password_does_not_open_the_door(hub):
    assert log_in(hub[0], "anna", "guess")[1].status_code == 403


def test_a_link_brings_the_course_and_a_cell_runs(hub):
    address, folder = hub
    session, answer = log_in(address, "anna", "sixteen-by-sixteen")
    assert answer.ok
    link = f"{address}/hub/user-redirect/git-pull"
    asked = {"repo": (folder / "course").as_uri(), "branch": "main", "targetpath": "course"}

    def arrived():
        page = session.get(link, params=asked)
        return page if "/user/anna/git-pull" in page.url.split("?")[0] else None

    page = wait_for(arrived, 120, lambda: (folder / "log").read_text()[-2000:])
    assert page.ok
    mine = f"{address}/user/anna"
    token = next(cookie.value for cookie in session.cookies if cookie.name == "_xsrf" and "anna" in cookie.path)
    progress = session.get(f"{mine}/git-pull/api", params=asked | {"_xsrf": token}, stream=True)
    last = [line for line in progress.iter_lines(decode_unicode=True) if line][-1]
    assert json.loads(last.removeprefix("data: "))["phase"] == "finished"
    assert (folder / "home/anna/course/L1_Sampling/sheet.ipynb").exists()

    headers = {"X-XSRFToken": token}
    kernel = session.post(
        f"{mine}/api/kernels", json={"path": "course/L1_Sampling/sheet.ipynb"}, headers=headers
    ).json()
    websocket = pytest.importorskip("websocket")
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies if "/user" in cookie.path)
    channel = websocket.create_connection(
        f"{mine.replace('http', 'ws', 1)}/api/kernels/{kernel['id']}/channels", cookie=cookies, timeout=120
    )
    code = "import os; print(os.path.basename(os.getcwd()), os.environ['OMP_NUM_THREADS'])"
    header = {"msg_id": "1", "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3"}
    content = {"code": code, "silent": False}
    channel.send(
        json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"})
    )
    messages = iter(lambda: json.loads(channel.recv()), None)
    printed = next(message["content"]["text"] for message in messages if message["msg_type"] == "stream")
    assert printed == "L1_Sampling 1\n"
