"""How far one of several parts is, for the whole."""

from attention_limits.progress import part


def test_a_part_begins_where_the_one_before_it_ended():
    """The bar went back to nothing with each part, or never came to its end."""
    told = []
    for number in range(2):
        for share in (0, 0.5, 1):
            part(lambda *what: told.append(what), number, 2, f"{number}, ")(share, "step")
    assert [share for share, _ in told] == [0, 0.25, 0.5, 0.5, 0.75, 1]
    assert told[-1] == (1, "1, step")
    part(lambda *what: told.append(what), 1, 2)(None, "a remark that stays")
    assert told[-1] == (None, "a remark that stays")
