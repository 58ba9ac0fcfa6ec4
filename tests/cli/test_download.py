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


def test_an_unknown_file_is_refused_with_both_hashes_and_accepted_when_told_so(command, server, small, tmp_path):
    done = command("download", "--url", server.url("good"), status=1)
    published = "fd6c26c1086887310518e6a6da778253bc5d3ceb8166007a679a740fff9ee6ea"
    assert f"the SHA-256 {small.sha256}, not {published}" in done.stderr
    assert "--sha256 any" in done.stderr
    assert list(tmp_path.iterdir()) == []
    command("download", "--url", server.url("good"), "--sha256", "any")
    assert (tmp_path / "data/qm7.mat").exists()


def test_the_next_place_is_told(command, server, small):
    flags = ["--url", server.url("cut"), "--url", server.url("good"), "--sha256", small.sha256]
    assert command("download", *flags).stderr == (f"{server.url('cut')}: it was cut off; trying {server.url('good')}\n")
    assert command("download", *flags, "--quiet", "--force").stderr == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_download_leaves_nothing(background, server, tmp_path, number):
    process = background("download", "--url", server.url("stalling"))
    assert server.asked.wait(60)
    os.kill(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert stderr == ""
    assert list(tmp_path.iterdir()) == []
