"""exec, attach, cp, port-forward and logs with real bytes, by WebSocket (the newest kubectl) and SPDY (Debian's)."""

import contextlib
import fcntl
import hashlib
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kubectls
import pytest
from kube import Kube, until
from space import Space, pod, space

FOREVER = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
MIB = 1 << 20


@pytest.fixture(scope="module")
def streams(kube: Kube) -> Iterator[Space]:
    serve = "mkdir -p /www/a /www/b; hostname > /www/a/index.html; echo other > /www/b/index.html"
    big = "head -c 20971520 /dev/urandom > /www/a/big"
    with space(kube, "streams") as here:
        here.create(
            pod("box", FOREVER),
            pod("web", f"{serve}; {big}; httpd -p 8080 -h /www/a; httpd -p 8081 -h /www/b; {FOREVER}"),
            pod("reader", 'while read line; do echo "got $line"; echo "err $line" >&2; done; sleep 600', stdin=True),
            pod("terminal", "while read line; do stty size; done; sleep 600", stdin=True, tty=True),
            pod("counter", f"i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo line $i; [ $i = 500 ] && sleep 1.5; done; {FOREVER}"),
            pod("long", f"head -c 100000 /dev/zero | tr '\\0' x; echo; printf 'a\\rb\\n\\n'; echo last; {FOREVER}"),
            pod("slow", "for i in 1 2 3 4 5; do echo $i; sleep 0.4; done", pod_spec={"restartPolicy": "Never"}),
            pod("again", "touch /d/n; echo run $(wc -l < /d/n); echo >> /d/n; [ $(wc -l < /d/n) -gt 1 ] && sleep 600; exit 1",
                volumeMounts=[{"name": "d", "mountPath": "/d"}],
                pod_spec={"volumes": [{"name": "d", "emptyDir": {}}]}),
        )  # fmt: skip
        here.ready("box", "web", "reader", "terminal", "counter", "long")
        yield here


PROGRAMS = [pytest.param(kubectls.debian, id="SPDY"), pytest.param(kubectls.newest, id="WebSocket")]


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    found: str = request.param()
    return found


def argv(streams: Space, program: str, *words: str) -> list[str]:
    kube = streams.kube
    ours = [f"--kubeconfig={kube.kubeconfig}", f"--cache-dir={kube.state_dir}/kubectl"]  # not the user's own
    return [program, *ours, "-n", streams.name, *words]


def run(streams: Space, program: str, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv(streams, program, *words), input=stdin, capture_output=True, timeout=60)


# exec


def test_exec_keeps_the_streams_and_the_code_apart(streams: Space, program: str) -> None:
    done = run(streams, program, "exec", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 42")
    assert (done.returncode, done.stdout) == (42, b"out\n")
    assert done.stderr == b"err\ncommand terminated with exit code 42\n"


def test_exec_carries_bytes_both_ways(streams: Space, program: str) -> None:
    data = os.urandom(5 * MIB)
    done = run(streams, program, "exec", "-i", "box", "--", "cat", stdin=data)
    assert done.stdout == data
    done = run(streams, program, "exec", "-i", "box", "--", "sha256sum", stdin=data)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_exec_ends_when_the_command_does_not_read(streams: Space, program: str) -> None:
    """Little enough that it fits into the pipes: with more, containerd 1.6 itself waits for ever now and then."""
    assert run(streams, program, "exec", "-i", "box", "--", "true", stdin=os.urandom(50_000)).returncode == 0


def test_many_execs_at_once(streams: Space, program: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda i: run(streams, program, "exec", "box", "--", "echo", str(i)), range(16)))
    assert [d.stdout for d in done] == [b"%d\n" % i for i in range(16)]


class Terminal:
    """A kubectl on a terminal of our own."""

    def __init__(self, argv: list[str], rows: int, columns: int):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            time.sleep(0.2)
            os.execv(argv[0], argv)
        self.resize(rows, columns)
        self.said = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self.fd, text)

    def listen(self, seconds: float) -> bool:
        """Takes in what is said next, if anything is in that time."""
        ready, _, _ = select.select([self.fd], [], [], max(0.0, seconds))
        if ready:
            with contextlib.suppress(OSError):  # the other side is closed
                self.said += os.read(self.fd, 4096)
        return bool(ready)

    def expect(self, text: bytes, seconds: float = 15) -> None:
        end = time.monotonic() + seconds
        while text not in self.said:
            assert self.listen(end - time.monotonic()) and time.monotonic() < end, (
                f"{text!r} was not said: {self.said!r}"
            )

    def end(self) -> int:
        """Kills it if it still runs; its exit code."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
        return -signal.SIGKILL


def test_a_terminal_and_its_size(streams: Space, program: str) -> None:
    terminal = Terminal(argv(streams, program, "exec", "-it", "box", "--", "sh"), 33, 77)
    terminal.expect(b"# ")
    terminal.type(b"stty size; tty\r")
    terminal.expect(b"33 77")
    terminal.expect(b"/dev/pts/")
    terminal.resize(44, 99)
    end = time.monotonic() + 15
    while b"44 99" not in terminal.said:
        assert time.monotonic() < end, terminal.said
        terminal.type(b"stty size\r")
        terminal.listen(0.3)
    terminal.type(b"\x03")
    terminal.type(b"exit 5\r")
    assert terminal.end() == 5


# attach


def test_attach(streams: Space, program: str) -> None:
    marker = b"WS" if program == kubectls.newest() else b"SPDY"
    process = subprocess.Popen(
        argv(streams, program, "attach", "-i", "reader"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin and process.stdout and process.stderr
    time.sleep(0.5)  # a line sent before the streams stand would be lost to kubectl, not to us
    process.stdin.write(b"by %s\n" % marker)
    process.stdin.flush()
    line = process.stdout.readline()
    while line and b"got" not in line:
        line = process.stdout.readline()
    assert line == b"got by %s\n" % marker
    process.kill()
    process.communicate()
    assert f"err by {marker.decode()}" in streams.logs("reader")


def test_attach_to_a_terminal(streams: Space, program: str) -> None:
    rows = 21 if program == kubectls.newest() else 41
    terminal = Terminal(argv(streams, program, "attach", "-it", "terminal"), rows, 70)
    end = time.monotonic() + 15
    while b"%d 70" % rows not in terminal.said:  # kubectl first sends a size that is one too large, to force a repaint
        assert time.monotonic() < end, terminal.said
        terminal.type(b"\r")
        terminal.listen(0.3)
    os.kill(terminal.pid, signal.SIGKILL)
    terminal.end()


# cp


def test_cp(streams: Space, program: str, tmp_path: Path) -> None:
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/leaf").write_text("leaf")
    (tmp_path / "tree/sub/deep").write_text("deep")
    big = os.urandom(50 * MIB)
    (tmp_path / "tree/big").write_bytes(big)
    there = f"/tmp/{os.path.basename(program)}"
    done = run(streams, program, "cp", f"{tmp_path}/tree", f"box:{there}")
    assert done.returncode == 0, done.stderr
    assert streams.sh("box", f"sha256sum {there}/big").split()[0] == hashlib.sha256(big).hexdigest()
    done = run(streams, program, "cp", f"box:{there}", f"{tmp_path}/back")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back/big").read_bytes() == big
    assert (tmp_path / "back/sub/deep").read_text() == "deep"
    streams.sh("box", f"rm -r {there}")


# port-forward


@contextlib.contextmanager
def forwarded(streams: Space, program: str, *ports: str) -> Iterator[list[int]]:
    """The local ports at which kubectl listens."""
    command = argv(streams, program, "port-forward", "--address=127.0.0.1", "pod/web", *ports)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    try:
        lines = [process.stdout.readline() for _ in ports]
        yield [int(re.findall(r"127\.0\.0\.1:(\d+)", line)[0]) for line in lines]
    finally:
        process.kill()
        process.communicate()


def fetch(port: int, path: str = "") -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=30) as answer:
        body: bytes = answer.read()
        return body


def test_port_forward(streams: Space, program: str) -> None:
    with forwarded(streams, program, ":8080", ":8081") as (one, two):
        assert (fetch(one), fetch(two)) == (b"web\n", b"other\n")
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: fetch(one), range(24))) == {b"web\n"}
        wanted = streams.sh("web", "sha256sum /www/a/big").split()[0]
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda _: hashlib.sha256(fetch(one, "big")).hexdigest(), range(2)))
        assert found == [wanted, wanted]


def test_a_port_where_nobody_listens(streams: Space, program: str) -> None:
    with forwarded(streams, program, ":9999") as (port,), socket.create_connection(("127.0.0.1", port), 10) as s:
        s.settimeout(20)
        with contextlib.suppress(ConnectionResetError):  # kubectl ends, which closes the connection as well
            assert s.recv(10) == b""


# logs


def test_logs_selected(streams: Space) -> None:
    until(lambda: "line 1000" in streams.logs("counter", "--tail=1"), "all lines are written")
    whole = [f"line {i}" for i in range(1, 1001)]
    assert streams.logs("counter").splitlines() == whole
    assert streams.logs("counter", "--tail=7").splitlines() == whole[-7:]
    assert streams.logs("counter", "--tail=0") == ""
    assert streams.logs("counter", "--since=1h", "--limit-bytes=14") == "line 1\nline 2\n"
    stamped = streams.logs("counter", "--timestamps").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line \d+$", s) for s in stamped)
    since = stamped[-1][:19]
    at = next(i for i, s in enumerate(stamped) if s[:19] >= since)
    assert 0 < at < 1000
    assert streams.logs("counter", f"--since-time={since}Z").splitlines() == whole[at:]


def test_long_and_odd_lines(streams: Space) -> None:
    text = f"{'x' * 100000}\na\rb\n\nlast\n"
    until(lambda: streams.logs("long").endswith("last\n"), "all is written")
    done = run(streams, streams.kube.kubectl_path, "logs", "long")
    assert done.stdout.decode() == text
    stamped = run(streams, streams.kube.kubectl_path, "logs", "long", "--timestamps").stdout.decode()
    assert stamped.count("Z xxx") == 1
    assert len(stamped.split("\n")) == 5


def test_logs_follow_to_the_end(streams: Space, program: str) -> None:
    done = run(streams, program, "logs", "-f", "slow")
    assert done.stdout.split() == [b"1", b"2", b"3", b"4", b"5"]


def test_logs_of_the_run_before(streams: Space) -> None:
    until(
        lambda: streams.status("again").get("restartCount") == 1 and streams.state("again")[0] == "running",
        "a second run",
    )
    until(lambda: streams.logs("again") == "run 1\n", "the second run's log")
    assert streams.logs("again", "--previous") == "run 0\n"
    done = streams.kubectl("logs", "box", "--previous", check=False)
    assert 'previous terminated container "main" in pod "box" not found' in done.stderr
