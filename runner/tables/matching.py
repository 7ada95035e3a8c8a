"""Which rows of two tables belong together, and what the tables differ in."""

from collections.abc import Iterable, Sequence

from runner.tables.columns import written
from runner.tables.results import Results, swept
from runner.tables.strict import Row

# What tells configurations apart, beside a sweep's own columns.
KEYS = (
    *("task", "dataset", "network", "activation", "output", "loss", "optimizer"),
    *("batch_size", "threads"),
)
# What is shown too where it is another in each table.
SHOWN = ("seed", "epochs", "n", "data_hash", "weights_hash", "code_version")
Values = tuple[str, ...]


def matching_keys(tables: Sequence[Results]) -> list[str]:
    """Return the columns that vary within a table, except the seed.

    Raises
    ------
    ValueError
        When a table lacks a column that varies in another one.
    """
    own = list(dict.fromkeys(name for table in tables for name in swept(table.columns)))
    for table in tables:
        fill(table, own)
    varying = [n for n in (*KEYS, *own) if n != "seed" and any(varies(t, n) for t in tables)]
    keys = [n for n in varying if all(n in table.columns for table in tables)]
    for name in varying:
        if name not in keys and not any(told_by(t, name, keys) for t in tables if varies(t, name)):
            lacking = next(table for table in tables if name not in table.columns)
            other = next(table for table in tables if varies(table, name))
            expected = f"a column {name}, which varies in {other.name}"
            raise ValueError(f"{lacking.name}: line 1: expected {expected}, got none")
    # What follows from swept keys, as a network from its hidden layers, says nothing more.
    chosen = [n for n in keys if n in own]
    keys = [n for n in keys if n in own or not all(told_by(t, n, chosen) for t in tables)]
    if any(epochs_swept(table, keys) for table in tables):
        keys.append("epochs")
    return keys


def fill(table: Results, names: Sequence[str]) -> None:
    """Give the row of a single run the keys that others have swept, from its configuration."""
    lacking = [name for name in names if name not in table.columns]
    if lacking and not table.sweep and len(table.rows) == 1:
        known = table.configuration(table.rows[0])
        found = [name for name in lacking if name in known]
        table.rows[0].update({name: known[name] or written(None) for name in found})
        table.columns += found


def told_by(table: Results, key: str, keys: Sequence[str]) -> bool:
    """Whether a column follows from others."""
    groups = grouped(table, keys).values()
    return all(len({row.get(key, "") for row in rows}) == 1 for rows in groups)


def varies(table: Results, name: str) -> bool:
    """Whether a column has more than one value."""
    return len({row.get(name, "") for row in table.rows}) > 1


def epochs_swept(table: Results, keys: Sequence[str]) -> bool:
    """Whether epochs tell configurations apart: the same keys and seed are there with several.

    Elsewhere a run may stop when it has learned enough, and epochs are a result.
    """
    if "epochs" not in table.columns:
        return False
    seen: dict[Values, set[str]] = {}
    for row in table.rows:
        if row["status"] == "completed":
            same = (*(row.get(key, "") for key in keys), row["seed"])
            seen.setdefault(same, set()).add(row["epochs"])
    return any(len(epochs) > 1 for epochs in seen.values())


def grouped(table: Results, keys: Sequence[str]) -> dict[Values, list[Row]]:
    """Return the rows of each configuration, in the order of the first of them."""
    groups: dict[Values, list[Row]] = {}
    for row in table.rows:
        groups.setdefault(tuple(row.get(key, "") for key in keys), []).append(row)
    return groups


def unmatched(
    a: Results, b: Results, before: Iterable[Values], after: Iterable[Values]
) -> list[str]:
    """Return notes of configurations that only one of two tables has."""
    notes = []
    for here, there, only in ((a, b, {*before} - {*after}), (b, a, {*after} - {*before})):
        if only:
            shown = ", ".join("/".join(values) for values in sorted(only)[:3])
            more = ", ..." if len(only) > 3 else ""
            notes.append(f"{len(only)} of {here.name} not in {there.name}: {shown}{more}")
    return notes


def differing(a: Results, b: Results, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return what is constant in each of two tables, but not the same."""
    told = "config_hash"
    names = dict.fromkeys([*KEYS, *swept(a.columns), *swept(b.columns), *SHOWN, told])
    left, right = (constants(table, [n for n in names if n not in keys]) for table in (a, b))
    both = {name: (left[name], right[name]) for name in names if name in left and name in right}
    found = {name: pair for name, pair in both.items() if pair[0] != pair[1] and name != told}
    for name, pair in configured(a, b, keys).items():
        if name.removesuffix(".name") not in found:
            found[name] = pair
    if not found and told in both and both[told][0] != both[told][1]:
        found[told] = both[told]
    return found


def constants(table: Results, names: Iterable[str]) -> dict[str, str]:
    """Return the columns that have one value in all completed rows, with it."""
    rows = [row for row in table.rows if row["status"] == "completed"]
    there = [name for name in names if name in table.columns]
    values = {name: {row.get(name, "") for row in rows} for name in there}
    return {name: one.pop() for name, one in values.items() if len(one) == 1}


def configured(a: Results, b: Results, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return what differs between the configurations of the first two runs that match."""
    if a.folder is None or b.folder is None:
        return {}
    after = grouped(b, keys)
    for values, rows in grouped(a, keys).items():
        if values in after:
            left, right = a.configuration(rows[0]), b.configuration(after[values][0])
            names = left.keys() | right.keys() if left and right else ()
            return {
                name: (left.get(name, ""), right.get(name, ""))
                for name in sorted(names)
                if name not in keys and left.get(name) != right.get(name)
            }
    return {}
