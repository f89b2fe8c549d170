"""The programs that copy: how each is served and called. Each stands on the usual options of its kind.

Not responsible for qshare (`qshare`), nor for the other peer-to-peer programs (`peers`).
"""

from __future__ import annotations

import os
import pwd
from abc import ABC, abstractmethod
from pathlib import Path

from .lab import Lab, Place, free_port, wait_listening
from .process import Server

LARGE, TREE = "large", "tree"
NAMES = {LARGE: "big.bin", TREE: "tree"}
"""What is copied in each work, below the served directory and below the destination."""


class Missing(Exception):
    """A program is not installed; the message says what to install."""


class Program(ABC):
    """One program, in one place. `start` comes first."""

    name: str
    works: tuple[str, ...] = (LARGE, TREE)
    needs: tuple[tuple[str, str], ...] = ()
    """Programs, and how each is installed."""

    def __init__(self, lab: Lab, place: Place, served: Path, work: str) -> None:
        self.lab, self.place, self.served, self.work = lab, place, served, work
        self.item = NAMES[work]
        self.home = lab.directory("programs", f"{place.name}-{work}-{self.name}".replace(" ", "-"))
        self.tools = {tool: self.find(tool, how) for tool, how in self.needs}
        self.servers: list[Server] = []

    def find(self, tool: str, how: str) -> Path:
        """Where a program is; raises Missing."""
        found = self.lab.which(tool)
        if found is None:
            raise Missing(f"{tool} is not installed ({how})")
        return found

    def serve(self, command: list[str | Path], output: Path | None = None) -> Server:
        """Starts a server at the serving end."""
        server = self.lab.server(f"{self.home.name}-{len(self.servers)}", command, self.place.server, output)
        self.servers.append(server)
        return server

    def listen(self, command: list[str | Path], port: int) -> None:
        """Starts a server and waits for its TCP port."""
        wait_listening(self.serve(command), self.place.server, self.place.address, port)

    def port(self) -> int:
        """A free TCP port at the serving end."""
        return free_port(self.place.server, self.place.address)

    @abstractmethod
    def start(self) -> None:
        """Starts what serves, and returns when it is ready; raises Failed."""

    @abstractmethod
    def fetch(self, into: Path) -> list[str | Path]:
        """The command that copies the item into the directory `into`."""

    def tidy(self) -> None:
        """Removes what a fetch left outside of its destination; called after each, outside of the time."""


class Rsync(Program):
    """An rsync daemon: plain text, no proof of the other end."""

    name = "rsync daemon (plain text)"
    needs: tuple[tuple[str, str], ...] = (("rsync", "apt install rsync"),)

    def start(self) -> None:
        self.at = self.port()
        conf = self.home / "rsyncd.conf"
        # As root it would become nobody, who cannot read the files.
        user = f"uid = {os.getuid()}\ngid = {os.getgid()}\n" if os.getuid() == 0 else ""
        conf.write_text(f"use chroot = no\n{user}[m]\npath = {self.served}\nread only = yes\n")
        self.listen(
            [self.tools["rsync"], "--daemon", "--no-detach", f"--config={conf}", f"--port={self.at}",
             f"--address={self.place.address}", f"--log-file={self.home / 'rsyncd.log'}"],
            self.at,
        )  # fmt: skip

    def fetch(self, into: Path) -> list[str | Path]:
        return [self.tools["rsync"], "-r", f"rsync://{self.place.address}:{self.at}/m/{self.item}", f"{into}/"]


class Nginx(Program):
    """Something that fetches over TLS 1.3 from nginx, whose certificate it checks."""

    works = (LARGE,)
    needs: tuple[tuple[str, str], ...] = (("nginx", "apt install nginx"), ("openssl", "apt install openssl"))

    def start(self) -> None:
        self.at = self.port()
        self.certificate = self.home / "cert.pem"
        key = self.home / "key.pem"
        self.lab.tool(
            self.tools["openssl"], "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", key, "-out", self.certificate, "-days", "2", "-subj", "/CN=compare",
            "-addext", f"subjectAltName=IP:{self.place.address}",
        )  # fmt: skip
        conf = self.home / "nginx.conf"
        conf.write_text(self.configuration(key))
        # The first message goes to a compiled-in place unless -e comes first.
        self.listen([self.tools["nginx"], "-e", self.home / "error.log", "-p", f"{self.home}/", "-c", conf], self.at)

    def configuration(self, key: Path) -> str:
        """As packaged: as many workers as cores, sendfile."""
        user = "user root;" if os.getuid() == 0 else ""
        spool = "".join(
            f"{kind}_temp_path {self.home}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        return f"""{user} daemon off; worker_processes auto; pid {self.home}/pid;
events {{ worker_connections 768; }}
http {{
  {spool}
  access_log off; sendfile on; tcp_nopush on; types_hash_max_size 2048; default_type application/octet-stream;
  server {{
    listen {self.place.address}:{self.at} ssl; root {self.served};
    ssl_protocols TLSv1.3; ssl_certificate {self.certificate}; ssl_certificate_key {key};
  }}
}}
"""

    def url(self) -> str:
        """Where the item is."""
        return f"https://{self.place.address}:{self.at}/{self.item}"


class Curl(Nginx):
    """One connection."""

    name = "curl (TLS 1.3, nginx)"
    needs: tuple[tuple[str, str], ...] = (*Nginx.needs, ("curl", "apt install curl"))

    def fetch(self, into: Path) -> list[str | Path]:
        return [
            self.tools["curl"],
            "-sSf",
            "--tlsv1.3",
            "--cacert",
            self.certificate,
            "-o",
            into / self.item,
            self.url(),
        ]


class Aria2(Nginx):
    """Eight connections, without writing the file twice."""

    name = "aria2c -x8 (TLS 1.3, nginx)"
    needs: tuple[tuple[str, str], ...] = (*Nginx.needs, ("aria2c", "apt install aria2"))

    def fetch(self, into: Path) -> list[str | Path]:
        return [
            self.tools["aria2c"], "-q", "--no-conf", "-x8", "-s8", "--file-allocation=none",
            f"--ca-certificate={self.certificate}", "-d", into, "-o", self.item, self.url(),
        ]  # fmt: skip


class Ssh(Program):
    """Something that runs over ssh with a key of its own, both ends' host keys made for the run."""

    needs: tuple[tuple[str, str], ...] = (
        ("sshd", "apt install openssh-server"),
        *((tool, "apt install openssh-client") for tool in ("ssh-keygen", "ssh", "scp")),
    )
    cipher: str | None = None

    def start(self) -> None:
        self.at = self.port()
        for key in ("host", "user"):
            self.lab.tool(self.tools["ssh-keygen"], "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.home / key)
        conf = self.home / "sshd_config"
        conf.write_text(
            f"Port {self.at}\nListenAddress {self.place.address}\nHostKey {self.home}/host\nPidFile none\n"
            f"AuthorizedKeysFile {self.home}/user.pub\nStrictModes no\nPasswordAuthentication no\nUsePAM no\n"
            "PermitRootLogin yes\nSubsystem sftp internal-sftp\n"
        )
        sshd: list[str | Path] = [self.tools["sshd"], "-D", "-e", "-f", conf]
        if os.getuid() == 0 and not os.path.isdir("/run/sshd"):
            # It wants this empty directory, and gets it in a /run that only it sees.
            private = 'mount -t tmpfs none /run && mkdir /run/sshd && exec "$@"'
            sshd = ["unshare", "--mount", "sh", "-c", private, "sh", *sshd]
        self.listen(sshd, self.at)

    def options(self) -> list[str | Path]:
        """What ssh and scp have in common."""
        options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        cipher: list[str | Path] = ["-c", self.cipher] if self.cipher else []
        return ["-F", "none", "-i", self.home / "user", *cipher, *(x for option in options for x in ("-o", option))]

    def login(self) -> str:
        """The user on both ends, and the host."""
        return f"{pwd.getpwuid(os.getuid()).pw_name}@{self.place.address}"


class Scp(Ssh):
    """With the cipher that ssh takes by itself."""

    name = "scp"

    def fetch(self, into: Path) -> list[str | Path]:
        source = f"{self.login()}:{self.served / self.item}"
        return [self.tools["scp"], "-q", "-r", "-P", str(self.at), *self.options(), source, into]


class ScpGcm(Scp):
    """With the cipher that is fastest on processors with AES."""

    name = "scp (aes128-gcm)"
    cipher = "aes128-gcm@openssh.com"


class TarSsh(Ssh):
    """A tree as one stream."""

    name = "tar over ssh (aes128-gcm)"
    works = (TREE,)
    needs: tuple[tuple[str, str], ...] = (*Ssh.needs, ("tar", "apt install tar"))
    cipher = "aes128-gcm@openssh.com"

    def fetch(self, into: Path) -> list[str | Path]:
        remote = f"tar -C {self.served} -cf - {self.item}"
        script = f'"$@" {self.login()} "{remote}" | tar -C "{into}" -xf -'
        return ["sh", "-c", script, "sh", self.tools["ssh"], "-p", str(self.at), *self.options()]
