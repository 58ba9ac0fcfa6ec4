import os
import signal

import pytest


def test_the_file_comes_to_where_the_other_commands_look(command, server, small, tmp_path):
    done = command("download", "--url", server.url("good"), "--sha256", small.sha256)
    assert done.stdout == f"data/qm7.mat: downloaded, 60 molecules, SHA-256 {small.sha256}\n"
    assert (tmp_path / "data/qm7.mat").read_bytes() == server.content
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["qm7.mat"]
    assert small.sha256 in command("info", QM7_DATA="").stdout


def test_a_right_file_is_left_alone_without_a_request_unless_forced(command, server, small, tmp_path):
    flags = ["--url", server.url("good"), "--sha256", small.sha256.upper(), "--dest", "x.mat"]
    command("download", *flags)
    before = (tmp_path / "x.mat").stat().st_mtime_ns
    done = command("download", *flags)
    assert done.stdout == f"x.mat: is there already, 60 molecules, SHA-256 {small.sha256}\n"
    assert done.stderr == ""
    command("download", "--dest", "x.mat", "--sha256", "any", "--url", server.url("none"))
    assert server.requests == ["/good"]
    assert (tmp_path / "x.mat").stat().st_mtime_ns == before
    command("download", *flags, "--force")
    assert server.requests == ["/good", "/good"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_download_leaves_nothing(background, server, tmp_path, number):
    process = background("download", "--url", server.url("stalling"))
    assert server.asked.wait(60)
    os.kill(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert stderr == ""
    assert list(tmp_path.iterdir()) == []
