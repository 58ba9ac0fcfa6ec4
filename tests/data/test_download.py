import hashlib
import socket

import numpy as np
import pytest
from scipy.io import savemat

import molecules
from qm7cli.core.errors import QM7Error, UsageError
from qm7cli.data import download, inspection


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(download, "PAUSES", (0, 0, 0))


@pytest.fixture
def content(mat):
    return mat.read_bytes()


@pytest.fixture
def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def dest(tmp_path):
    """A place where a file is already."""
    path = tmp_path / "qm7.mat"
    path.write_bytes(b"before")
    return path


@pytest.mark.parametrize("path", ["good", "good-without-length", "boundless", "slow"])
def test_a_right_file_is_put_in_place_whole_and_progress_is_told(server, dest, content, sha256, path):
    told = []
    downloaded = download.download_dataset(
        dest, [server.url(path)], sha256, report=lambda *progress: told.append(progress), timeout=5
    )
    assert dest.read_bytes() == content
    assert downloaded.sha256 == sha256
    assert downloaded.name == "qm7"
    assert told[-1] == (len(content), len(content) if path in {"good", "slow"} else 0)
    assert list(dest.parent.iterdir()) == [dest]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("other", "it has {length} bytes and the SHA-256 {other}, not {sha256}; if you trust it, --sha256 any accepts"),
        ("page", "it is a web page, not the data set"),
        ("none", "the server answers 404 Not Found"),
        ("nothing", "the server answers 204 No Content"),
        ("elsewhere", "download failed ("),
        ("round-and-round", "download failed (Exceeded 30 redirects.)"),
        ("text", "it has 5 bytes and the SHA-256 "),
        ("cut", "it was cut off after 0.0 of 0.0 MB"),
        ("cut-without-length", "it has {half} bytes and the SHA-256 "),
        ("silent", "no answer within 0.2 s"),
        ("stalling", "it sent less than 0.2 kB in 0.2 s after 0.0 of 0.0 MB"),
        ("endless", "it sends more than 1000000 bytes"),
    ],
)
def test_each_failure_has_its_sentence_and_what_was_there_stays(
    server, dest, content, sha256, path, message, monkeypatch
):
    monkeypatch.setattr(download, "MOST_BYTES", 1_000_000)
    other = hashlib.sha256(content[:-1] + bytes([content[-1] ^ 1])).hexdigest()
    numbers = {"length": len(content), "half": len(content) // 2, "sha256": sha256, "other": other}
    with pytest.raises(QM7Error) as error:
        download.download_dataset(
            dest, [server.url(path)], sha256, timeout=0.2 if path in {"silent", "stalling"} else 20
        )
    assert str(error.value).startswith(f"{server.url(path)}: {message.format(**numbers)}")
    assert dest.read_bytes() == b"before"
    assert list(dest.parent.iterdir()) == [dest]


def test_places_that_cannot_be_reached_are_told_once_for_all(dest, sha256):
    urls = [f"http://{name}.invalid/x" for name in ("one", "two", "three")]
    notices = []
    with pytest.raises(QM7Error) as error:
        download.download_dataset(dest, urls, sha256, notice=notices.append)
    assert notices == []
    assert str(error.value).startswith(f"{', '.join(urls)}: no connection (")


def test_places_with_encryption_are_tried_before_those_without():
    assert sorted(download.MIRRORS, key=lambda url: url.startswith("http:")) == list(download.MIRRORS)


def test_a_refused_connection_and_a_name_that_nobody_has(dest, sha256):
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{taken.getsockname()[1]}/x"
        with pytest.raises(QM7Error) as error:
            download.download_dataset(dest, [refused, "http://nobody.invalid/x"], sha256)
    one, other = str(error.value).split("; ")
    assert one == f"{refused}: no connection (Connection refused)"
    assert other.startswith("http://nobody.invalid/x: no connection (")
    assert dest.read_bytes() == b"before"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "qm7.mat", "http://", "http:///x"])
def test_an_address_that_is_none_is_refused_without_a_request(server, dest, sha256, url):
    with pytest.raises(UsageError, match="is not an http:// or https:// address"):
        download.download_dataset(dest, [server.url("good"), url], sha256)
    assert server.requests == []


@pytest.mark.parametrize("url", ["http://a..b/x", "http://[::1/x", f"http://{'a' * 64}/x"])
def test_an_address_that_nothing_can_be_asked_from_does_not_stop_the_next(server, dest, content, sha256, url):
    download.download_dataset(dest, [url, server.url("elsewhere"), server.url("good")], sha256)
    assert dest.read_bytes() == content


def test_certificates_that_are_not_there_are_named(dest, sha256, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    with pytest.raises(QM7Error, match=r"download failed \(Could not find .* /nowhere\)"):
        download.download_dataset(dest, ["https://127.0.0.1/x"], sha256)


def test_places_are_tried_in_order_until_one_has_the_right_file(server, dest, content, sha256):
    paths = ["none", "other", "good", "page"]
    notices = []
    download.download_dataset(dest, [server.url(path) for path in paths], sha256, notice=notices.append)
    assert server.requests == ["/none", "/other", "/good"]
    assert dest.read_bytes() == content
    assert notices[0] == f"{server.url('none')}: the server answers 404 Not Found; trying {server.url('other')}"


@pytest.mark.parametrize(
    ("path", "message"),
    [("drip", "it sent less than 0.3 kB in 0.3 s after 0.0 of 0.0 MB"), ("drip-before", "no answer within 0.3 s")],
)
def test_a_server_that_drips_is_given_up_for_the_next_place(server, dest, content, sha256, path, message):
    notices = []
    urls = [server.url(path), server.url("good")]
    download.download_dataset(dest, urls, sha256, notice=notices.append, timeout=0.3)
    assert notices == [f"{urls[0]}: {message}; trying {urls[1]}"]
    assert dest.read_bytes() == content


@pytest.mark.parametrize("path", ["busy-once", "cut-once"])
def test_a_failure_that_may_pass_is_tried_again_after_the_other_places(server, dest, content, sha256, path):
    download.download_dataset(dest, [server.url(path), server.url("none")], sha256)
    assert server.requests == [f"/{path}", "/none", f"/{path}"]
    assert dest.read_bytes() == content


def test_a_failure_that_stays_is_given_up_after_three_rounds_with_longer_and_longer_pauses(
    server, dest, sha256, monkeypatch
):
    slept = []
    monkeypatch.undo()
    monkeypatch.setattr(download.time, "sleep", slept.append)
    with pytest.raises(QM7Error, match="cut off"):
        download.download_dataset(dest, [server.url("cut"), server.url("none")], sha256)
    assert server.requests == ["/cut", "/none", "/cut", "/cut"]
    assert slept == [0, 1, 2]


def test_the_published_file_is_told_apart_by_its_size_too(server, dest, content):
    with pytest.raises(QM7Error, match=rf"it has {len(content)} bytes \(the published file has 17884280\) and"):
        download.download_dataset(dest, [server.url("good")])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"T": None}, "the variable T is missing"),
        ({"P": np.zeros((5, 12))}, "P is not a partition of the 60 molecules"),
        ({"R": molecules.variables()["R"] * 0.529177}, "X is not the Coulomb matrix of Z and R in bohr: molecule"),
        ({"T": molecules.variables()["T"] / 23.06}, "T does not hold atomization energies in kcal/mol: "),
        ({"T": -molecules.variables()["T"]}, "T does not hold atomization energies in kcal/mol: "),
        ({"X": np.zeros((60, 7, 7)), "Z": np.zeros((60, 7))}, "Z has no atoms for molecule 0"),
    ],
)
def test_with_any_fingerprint_the_content_is_still_checked(server, dest, tmp_path, changes, message):
    server.content = molecules.write(tmp_path / "bad.mat", changes).read_bytes()
    with pytest.raises(QM7Error, match=message):
        download.download_dataset(dest, [server.url("good")], "any")
    assert dest.read_bytes() == b"before"


def test_with_any_fingerprint_a_sound_file_is_accepted(server, dest, content):
    download.download_dataset(dest, [server.url("good")], "any")
    assert dest.read_bytes() == content


@pytest.mark.realdata
def test_qm7_has_the_units_that_are_checked(qm7):
    inspection.check_units(qm7)


def test_the_right_file_is_found(mat, sha256):
    assert download.find_dataset(mat, sha256, force=False).sha256 == sha256
    assert download.find_dataset(mat, "any", force=False).sha256 == sha256
    assert download.find_dataset(mat, sha256, force=True) is None


@pytest.mark.parametrize("left", [lambda _: b"", lambda _: b"\n<html>", lambda whole: whole[:-100]])
def test_what_a_failed_download_left_may_be_replaced(tmp_path, content, sha256, left):
    path = tmp_path / "qm7.mat"
    path.write_bytes(left(content))
    assert download.find_dataset(path, sha256, force=False) is None
    assert download.find_dataset(path, "any", force=False) is None


def test_another_file_is_replaced_only_by_force(tmp_path, sha256):
    savemat(tmp_path / "mine.mat", {"results": np.arange(10.0)})
    sound = molecules.write(tmp_path / "other.mat", seed=1).read_bytes()
    for other in (b"a thesis", sound, (tmp_path / "mine.mat").read_bytes()):
        path = tmp_path / "qm7.mat"
        path.write_bytes(other)
        with pytest.raises(QM7Error, match=r"is there and is not the right file: .* not \w+.*; --force replaces it"):
            download.find_dataset(path, sha256, force=False)
        assert download.find_dataset(path, sha256, force=True) is None
        assert path.read_bytes() == other
    for name, text in (("notes.html", b"<html>"), ("notes.txt", b"MATLAB course notes"), ("x.mat", b"MATLAB notes")):
        (tmp_path / name).write_bytes(text)
        with pytest.raises(QM7Error, match=r"is not the right file: .*; --force"):
            download.find_dataset(tmp_path / name, sha256, force=False)


def test_a_directory_is_no_place_for_the_file(tmp_path, sha256):
    with pytest.raises(QM7Error, match="is not a file; write --dest FILE"):
        download.find_dataset(tmp_path, sha256, force=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(QM7Error, match=r"cannot write .*: the directory .*file may not be written to"):
        download.find_dataset(tmp_path / "file" / "qm7.mat", sha256, force=False)
    assert download.find_dataset(tmp_path / "new" / "er" / "qm7.mat", sha256, force=False) is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
