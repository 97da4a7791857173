"""Real nginx and HAProxy in front of the bot, as their own documents set them up, with upgrades passed on."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

from tests.running import Program, free_port

NAMES = ("nginx", "haproxy")

_NGINX = """
daemon off; master_process off; pid {at}/nginx.pid; error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
  uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
  upstream edge {{ server 127.0.0.1:{edge}; keepalive 4; }}
  upstream web {{ server 127.0.0.1:{web}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    location / {{ proxy_pass http://web; }}
    location /alerts/ {{ proxy_pass http://edge; }}
  }}
}}
"""
_HAPROXY = """
global
  maxconn 256
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  http-reuse always
  retries 3
  retry-on all-retryable-errors
frontend all
  bind 127.0.0.1:{port}
  use_backend edge if {{ path_beg /alerts/ }}
  default_backend web
backend edge
  server one 127.0.0.1:{edge}
backend web
  server one 127.0.0.1:{web}
"""


def why_not(name: str) -> str:
    """What is missing, "" when nothing is."""
    return "" if _found(name) else f"not installed: {name} (Debian package {name})"


class Proxy(Program):
    """`web` answers everything but /alerts/, which is `edge`'s. Two ports of this machine."""

    def __init__(self, name: str, at: Path, *, web: int, edge: int) -> None:
        self.port = free_port()
        conf = at / f"{name}.conf"
        text = _NGINX if name == "nginx" else _HAPROXY
        conf.write_text(text.format(at=at, port=self.port, web=web, edge=edge))
        flags = ["-e", "stderr", "-c", str(conf), "-p", str(at)] if name == "nginx" else ["-db", "-f", str(conf)]
        super().__init__([_found(name), *flags], log=at / f"{name}.log", ready=self._accepts)

    def _accepts(self) -> bool:
        with socket.socket() as line:
            return line.connect_ex(("127.0.0.1", self.port)) == 0


def _found(name: str) -> str:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin") or ""
