"""Tables that a contributor fills by hand: a failure says which one lacks what."""

from collections.abc import Collection, Mapping


def assert_rows_for(names: Collection[str], tables: Mapping[str, Collection[str]]) -> None:
    """Each table, called by where it is and what it says, has a row for every name and no other."""
    problems = []
    for table, rows in tables.items():
        problems += [f"{name!r} has no row in {table}" for name in sorted({*names} - {*rows})]
        problems += [
            f"{name!r} is in {table} and nowhere else" for name in sorted({*rows} - {*names})
        ]
    assert not problems, "\n".join(problems)
