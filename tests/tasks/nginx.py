"""A real nginx on loopback as a shared cache: Debian's nginx-light, with its WebDAV modules."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

from tests.ports import Port
from tests.tasks.toy import until

PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
MODULE = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")
MISSING = f"needs nginx and {MODULE.name} (Debian: nginx-light libnginx-mod-http-dav-ext)"
IS_HERE = PROGRAM is not None and MODULE.exists()

CONFIG = """\
load_module {module};
daemon off; master_process off; error_log {directory}/error.log; pid {directory}/pid;
{user}
events {{ }}
http {{
  access_log off;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/p;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  server {{
    listen 127.0.0.1:{port};
    root {root};
    client_max_body_size 1g;
    location / {{
      {inside}
    }}
  }}
}}
"""
DAV = "dav_methods PUT DELETE MKCOL;"
LISTS = "dav_ext_methods PROPFIND OPTIONS;"
# Who may read and write: only requests with this header.
TOKEN = 'if ($http_authorization != "Bearer s3cret") { return 401; }'


class Nginx:
    """Serves the files in `directory`/served at `url`; `inside`: what its location allows."""

    def __init__(self, directory: Path, *inside: str) -> None:
        self.root = directory / "served"
        self.root.mkdir(parents=True)
        self._port = Port()
        self.port = self._port.number
        self.url = f"http://127.0.0.1:{self.port}"
        config = directory / "nginx.conf"
        config.write_text(
            CONFIG.format(
                module=MODULE,
                directory=directory,
                user="user root;" if os.geteuid() == 0 else "",
                port=self.port,
                root=self.root,
                inside=" ".join(inside),
            )
        )
        assert PROGRAM
        self._process = subprocess.Popen([PROGRAM, "-c", config, "-p", directory])
        until(self._answers, f"nginx in {directory}")

    def _answers(self) -> bool:
        assert self._process.poll() is None, "nginx ended"
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
        self._port.close()
