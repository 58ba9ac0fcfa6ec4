from qm7cli.training.train_run import train_run


def test_the_iterations_of_each_row_are_told_where_they_differ(command, copied, quick, small, tmp_path):
    train_run(quick("split.folds=[0]", "training.iterations=310"), small, tmp_path / "longer")
    head, *rows = command("centering", copied / "original", "longer", "--fold", 0).stdout.splitlines()
    assert "iterations" in head
    column = head.split().index("iterations")
    assert [line.split()[column] for line in rows[:6]] == [*3 * ["300"], *3 * ["310"]]
