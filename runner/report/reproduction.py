"""A reproduction on the terminal: what is as it was recorded, and what is not."""

from collections.abc import Iterable

from rich.console import Console

from runner.agreement import Finding, Reproduction
from runner.report.terminal import grid, print_text


def show_reproduction(result: Reproduction, console: Console) -> None:
    """Print what was compared, a line each, then what is otherwise, then the verdict."""
    numbers = result.numbers or []
    rows = [
        *lines(result.same, "as recorded", "CHANGED"),
        *lines(result.conditions, "", "other"),
        *lines(numbers, "", "DIFFERS"),
    ]
    for one in result.times:
        said = (
            "" if one.note.startswith("not comparable") else "within: " if one.held else "OUTSIDE "
        )
        rows.append((one.what, one.recorded, one.now, f"{said}{one.note}"))
    console.print(grid(("", "recorded", "now", ""), rows, left=4))
    for one in (*result.changed, *(found for found in numbers if not found.held)):
        print_text(console, f"{one.what}: expected {one.recorded}, got {one.now}: {one.note}")
    print_text(console, verdict(result))


def lines(found: Iterable[Finding], held: str, not_held: str) -> list[tuple[str, ...]]:
    """Return a row of the table for each finding."""
    return [(one.what, one.recorded, one.now, held if one.held else not_held) for one in found]


def verdict(result: Reproduction) -> str:
    """Say in a line whether the run was reproduced, and what could be done."""
    changed = ", ".join(dict.fromkeys(one.what for one in result.changed))
    equal = "equal bit by bit" if result.exact else "equal within rounding (another arithmetic)"
    if result.numbers is None:
        return f"NOT reproduced: not run again, it would be another run: {changed}"
    if not result.agrees:
        differing = sum(not one.held for one in result.numbers)
        text = f"NOT reproduced: {differing} of {len(result.numbers)} files differ"
        if not result.exact:
            text += " by more than rounding, which a training that is not stable carries far"
        return f"{text}; changed: {changed}" if changed else text
    others = [f"changed: {changed}"] * bool(changed)
    if result.strict_times:
        others += [f"{one.what} {one.note.partition(':')[0]}" for one in result.outside]
    text = "; ".join([f"the numbers are {equal}", *others])
    if result.holds:
        return f"reproduced: {text}"
    hint = "; --allow-changes lets it pass" if changed and not result.allow_changes else ""
    return f"NOT reproduced: {text}{hint}"
