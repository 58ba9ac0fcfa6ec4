import itertools

from qm7cli.core.seeds import Purpose, stream


def test_streams_of_different_names_are_different_and_of_one_name_the_same():
    names = [
        *itertools.product((0, 1), (0, 1), Purpose),
        (0, 0, Purpose.MINIBATCHES, 0),
        (0, 0, Purpose.MINIBATCHES, 1),
    ]
    first = {tuple(stream(*name).integers(0, 2**63, 2)) for name in names}
    assert len(first) == len(names)
    assert first == {tuple(stream(*name).integers(0, 2**63, 2)) for name in names}
