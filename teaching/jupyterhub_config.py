"""JupyterHub for a class, on one Linux machine; SERVER.md says how to set it up and what was tried.

    jupyterhub -f teaching/jupyterhub_config.py

Learners log in with an account of the machine, so that nobody reads another's files. Run it as root: no other may
start a server for somebody else.
"""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821  (JupyterHub brings it)

BIN = Path(sys.executable).parent  # the hub's own environment has PyTorch, JupyterLab and nbgitpuller, too
STATE = Path(os.environ.get("COURSE_HUB_STATE", "/var/lib/course-hub"))

c.JupyterHub.bind_url = "http://127.0.0.1:8000"  # a web server with a certificate stands before it, see SERVER.md
c.JupyterHub.db_url = f"sqlite:///{STATE / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(STATE / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(STATE / "proxy.pid")
c.JupyterHub.shutdown_on_logout = True

c.JupyterHub.authenticator_class = "pam"
c.PAMAuthenticator.allowed_groups = {"course"}  # groupadd course; useradd -m -G course anna
c.PAMAuthenticator.open_sessions = False

c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
c.Spawner.cmd = [str(BIN / "jupyterhub-singleuser")]
c.Spawner.start_timeout = c.Spawner.http_timeout = 120  # when a whole class arrives at once
c.Spawner.environment = {
    "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin",
    "OMP_NUM_THREADS": "1",  # else each of twenty kernels takes all cores, and all are slower than with one
    "OPENBLAS_NUM_THREADS": "1",
}
# An idle kernel gives its memory back after half an hour, and an idle server goes after an hour. Files stay.
c.Spawner.args = [
    "--MappingKernelManager.cull_idle_timeout=1800",
    "--MappingKernelManager.cull_connected=True",
    "--ServerApp.shutdown_no_activity_timeout=3600",
]
c.JupyterHub.active_server_limit = int(os.environ.get("COURSE_HUB_LEARNERS", "20"))  # by the memory, see SERVER.md
