import hashlib
import socket

import pytest

import molecules
from qm7cli.core.errors import QM7Error, UsageError
from qm7cli.data import download


@pytest.fixture
def content(mat):
    return mat.read_bytes()


@pytest.fixture
def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def dest(tmp_path):
    """A place where a file is already."""
    path = tmp_path / "place" / "qm7.mat"
    path.parent.mkdir()
    path.write_bytes(b"before")
    return path


@pytest.mark.parametrize("path", ["good", "good-without-length"])
def test_a_right_file_is_put_in_place_whole_and_progress_is_told(server, dest, content, sha256, path):
    told = []
    downloaded = download.download_dataset(
        dest, [server.url(path)], sha256, report=lambda *progress: told.append(progress), timeout=5
    )
    assert dest.read_bytes() == content
    assert (downloaded.sha256, downloaded.name, downloaded.path) == (sha256, "qm7", dest)
    assert told[-1][1] == (len(content) if path == "good" else 0)
    assert list(dest.parent.iterdir()) == [dest]


@pytest.mark.parametrize(("path", "message"), [
    ("other", "it has {length} bytes and the SHA-256 {other}, not {sha256}; --sha256 any accepts"),
    ("page", "it is a web page, not the data set"),
    ("none", "the server answers 404 Not Found"),
    ("cut", "it was cut off"),
    ("cut-without-length", "it has {half} bytes and the SHA-256 "),
    ("stalling", "nothing came within 0.2 s"),
    ("endless", "it sends more than 1000000 bytes"),
])  # fmt: skip
def test_each_failure_has_its_sentence_and_what_was_there_stays(
    server, dest, content, sha256, path, message, monkeypatch
):
    monkeypatch.setattr(download, "MOST_BYTES", 1_000_000)
    other = hashlib.sha256(content[:-1] + bytes([content[-1] ^ 1])).hexdigest()
    numbers = {"length": len(content), "half": len(content) // 2, "sha256": sha256, "other": other}
    with pytest.raises(QM7Error) as error:
        download.download_dataset(dest, [server.url(path)], sha256, timeout=0.2 if path == "stalling" else 20)
    assert str(error.value).startswith(f"{server.url(path)}: {message.format(**numbers)}")
    assert dest.read_bytes() == b"before"
    assert list(dest.parent.iterdir()) == [dest]


def test_places_are_tried_in_order_until_one_has_the_right_file(server, dest, content, sha256):
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{taken.getsockname()[1]}/x"
        urls = [refused, *(server.url(path) for path in ("none", "other", "good", "page"))]
        notices = []
        download.download_dataset(dest, urls, sha256, notice=notices.append)
    assert server.requests == ["/none", "/other", "/good"]
    assert dest.read_bytes() == content
    assert notices[:2] == [
        f"{refused}: download failed (Connection refused); trying {urls[1]}",
        f"{urls[1]}: the server answers 404 Not Found; trying {urls[2]}",
    ]
    assert sorted(download.MIRRORS, key=lambda url: url.startswith("http:")) == list(download.MIRRORS)


def test_with_any_fingerprint_the_content_is_still_checked(server, dest, tmp_path):
    sound = server.content
    for changes, message in (
        ({"T": None}, "the variable T is missing"),
        ({"R": molecules.variables()["R"] * 0.529177}, "X is not the Coulomb matrix of Z and R in bohr: molecule"),
    ):
        server.content = molecules.write(tmp_path / "bad.mat", changes).read_bytes()
        with pytest.raises(QM7Error, match=message):
            download.download_dataset(dest, [server.url("good")], "any")
    assert dest.read_bytes() == b"before"
    server.content = sound
    download.download_dataset(dest, [server.url("good")], "any")
    assert dest.read_bytes() == sound


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "qm7.mat", "http:///x"])
def test_an_address_that_is_none_is_refused_without_a_request(server, dest, sha256, url):
    with pytest.raises(UsageError, match="is not an http:// or https:// address"):
        download.download_dataset(dest, [server.url("good"), url], sha256)
    assert server.requests == []


def test_a_file_that_is_far_too_large_is_not_read_and_a_directory_is_no_place_for_the_data_set(tmp_path, sha256):
    with (tmp_path / "disk.img").open("wb") as file:
        file.truncate(10**13)  # sparse
    with pytest.raises(QM7Error, match=r"is not the right file: .* it has 10000000000000 bytes, more than 1000000000;"):
        download.find_dataset(tmp_path / "disk.img", sha256, force=False)
    with pytest.raises(QM7Error, match="is not a file; write --dest FILE"):
        download.find_dataset(tmp_path, sha256, force=True)
