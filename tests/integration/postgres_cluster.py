#!/usr/bin/env python3
"""Runs a command beside a PostgreSQL server of its own.

    postgres_cluster.py COMMAND [ARGUMENT...]

The cluster lives in a temporary folder and listens on a Unix socket there; the server
ends with this script. The command finds it by PGHOST, PGUSER and PGDATABASE, and its process by
PAWL_POSTGRES_PID. With TLS, and only so, it also listens on a loopback address of its own:
PAWL_POSTGRES_ADDRESS, with the certificate PAWL_POSTGRES_CERTIFICATE, whose key lies beside it as
`server.key`. The exit code is the command's, or 77 when no server can be started here, with the
reason on standard error.
"""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from patience import patient

SKIPPED = 77
SECONDS = patient(60)


class NoServer(Exception):
    """Why there is no server to test against."""


def programs():
    """The folder of initdb and postgres, of the newest version."""
    found = [Path(name).parent for name in glob.glob("/usr/lib/postgresql/*/bin/initdb")]
    found.sort(key=lambda folder: int("0" + "".join(filter(str.isdigit, folder.parent.name))))
    on_path = shutil.which("initdb")
    if on_path:
        found.insert(0, Path(on_path).parent)
    found = [folder for folder in found if (folder / "postgres").exists()]
    if not found:
        raise NoServer("there is no initdb (package postgresql)")
    return found[-1]


def without_privileges():
    """What goes before a command, and who owns its files: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return [], None
    if not shutil.which("setpriv"):
        raise NoServer("there is no setpriv to become somebody else than root")
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
                "--clear-groups"], user
    raise NoServer("there is no unprivileged user to run PostgreSQL as")


def address():
    """One of 127.0.0.0/8 that no other cluster has, so that the port can be the usual one."""
    pid = os.getpid()
    return f"127.{1 + (pid >> 14) % 254}.{(pid >> 7) % 128}.{1 + pid % 128}"


def make_certificate(folder, data, user):
    """A certificate that signs itself: the server's, for its address, with its key in `data`, and
    with its key beside it the one by which a client is the user `certified`."""
    (folder / "certificate.cnf").write_text(
        "[req]\ndistinguished_name = name\nx509_extensions = extensions\nprompt = no\n"
        "[name]\nCN = certified\n"
        f"[extensions]\nsubjectAltName = IP:{address()}\nbasicConstraints = critical,CA:TRUE\n",
        encoding="utf-8")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "1", "-config", str(folder / "certificate.cnf"),
         "-out", str(folder / "server.crt"), "-keyout", str(folder / "server.key")],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)
    if made.returncode != 0:
        raise NoServer(f"no certificate: {made.stderr}")
    subprocess.run(
        ["openssl", "pkey", "-in", str(folder / "server.key"), "-aes128",
         "-passout", "pass:sesame", "-out", str(folder / "locked.key")],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=True)
    (folder / "locked.key").chmod(0o600)
    for name in ("server.crt", "server.key"):
        shutil.copy(folder / name, data / name)
        (data / name).chmod(0o600)
        if user:
            os.chown(data / name, user.pw_uid, user.pw_gid)


def start(folder, log):
    before, user = without_privileges()
    folder.chmod(0o755)
    for name in ("data", "socket"):
        (folder / name).mkdir(mode=0o700)
        if user:
            os.chown(folder / name, user.pw_uid, user.pw_gid)
    (folder / "socket").chmod(0o755)
    bin_folder = programs()
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(folder)}
    made = subprocess.run(
        [*before, str(bin_folder / "initdb"), "-D", str(folder / "data"), "-U", "pawl",
         "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
        cwd="/", env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=SECONDS, check=False)
    if made.returncode != 0:
        raise NoServer(f"initdb failed:\n{made.stdout}{made.stderr}")
    # Everybody is trusted but `guarded`, who has to know a password once a test has given one, and
    # `certified`, who has to show a certificate of that name.
    rules = folder / "data" / "pg_hba.conf"
    rules.write_text("local all guarded scram-sha-256\n"
                     "hostssl all certified 127.0.0.0/8 trust clientcert=verify-full\n"
                     "hostssl all all 127.0.0.0/8 trust\n" +
                     rules.read_text(encoding="utf-8"), encoding="utf-8")
    make_certificate(folder, folder / "data", user)
    server = subprocess.Popen(
        [*before, *(["--pdeathsig", "INT"] if before else []), str(bin_folder / "postgres"),
         "-D", str(folder / "data"), "-k", str(folder / "socket"),
         "-c", f"listen_addresses={address()}", "-c", "ssl=on", "-c", "ssl_ca_file=server.crt",
         "-c", "fsync=off", "-c", "max_connections=40", "-c", "shared_buffers=16MB", "-c", "logging_collector=off"],
        cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    ready = [str(bin_folder / "pg_isready"), "-q", "-h", str(folder / "socket")]
    if not (bin_folder / "pg_isready").exists():
        ready[0] = "pg_isready"
    end = time.monotonic() + SECONDS
    while subprocess.run(ready, check=False, env=environment).returncode != 0:
        if server.poll() is not None or time.monotonic() > end:
            stop(server)
            raise NoServer("the server did not start")
        time.sleep(0.05)
    return server


def stop(server):
    if server.poll() is None:
        server.send_signal(signal.SIGINT)  # at once, without waiting for clients
        try:
            server.wait(SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def main():
    folder = Path(tempfile.mkdtemp(prefix="pawl-pg-"))
    server = None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with open(folder / "log", "w+", encoding="utf-8") as log:
            try:
                server = start(folder, log)
            except NoServer as why:
                log.seek(0)
                print(f"no PostgreSQL server: {why}\n{log.read()}", file=sys.stderr)
                return SKIPPED
            environment = os.environ | {
                "PGHOST": str(folder / "socket"), "PGUSER": "pawl", "PGDATABASE": "postgres",
                "PAWL_POSTGRES_PID": str(server.pid), "PAWL_POSTGRES_ADDRESS": address(),
                "PAWL_POSTGRES_CERTIFICATE": str(folder / "server.crt")}
            return subprocess.run(sys.argv[1:], env=environment, check=False).returncode
    finally:
        if server:
            stop(server)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
