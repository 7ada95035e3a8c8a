"""How many small faults of a module its tests find: `python tests/mutation.py [MODULE[:LINE] ...]`.

A mutant is the module with one thing changed: a comparison, a constant, a condition, a statement
left out. A test that fails, or does not end, kills it; one that survives is the same program in
other words, or shows what no test looks at.

Mutants are written into a copy of the repository, so that processes which tests start meet them
too. A fork of this process, which has imported all but the project, runs the tests that reach the
changed lines or start processes, the fastest first, up to the first that fails.

Of the known tools mutmut 3.7 changes nothing outside functions or in what is decorated, a quarter
of all that is changed here and the whole machine for pickles; cosmic-ray starts Python and imports
all anew for each mutant.
"""

import argparse
import ast
import contextlib
import gc
import importlib
import os
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import coverage
import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = {
    "runner/data/idx.py": "data/test_idx.py",
    "runner/data/npz.py": "data/test_npz.py data/test_file.py",
    "runner/data/cache.py": "data/test_cache.py",
    "runner/data/download.py": "data/test_download.py",
    "runner/weights/files.py": "weights/test_files.py",
    "runner/weights/layouts.py": "weights/test_layouts.py",
    "runner/weights/npz.py": "weights/test_npz.py",
    "runner/weights/parameters.py": "weights/test_parameters.py",
    "runner/weights/pickles.py": "weights/test_pickles.py",
    "runner/weights/tensors.py": "weights/test_tensors.py",
    "runner/tables/store.py": "tables/test_store.py",
    "runner/tables/compare.py": "tables/test_verdicts.py tables/test_compare.py",
    "runner/tables/comparison.py": "tables/test_comparison.py",
    "runner/tables/gate.py": "tables/test_gate.py",
}
MEMORY = 4 * 2**30  # bytes; a mutant may want all there are
PATIENCE = 60  # seconds beyond ten times what the tests take: other work may hold them up
STUCK = -signal.SIGALRM
LONGEST = 3  # seconds of the processor; longer tests are left out, which can only spare a mutant

SWAPS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitAnd: (ast.BitOr,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}


def changed(node):
    """Yield what may stand in the place of a part of a program, each of them a fault."""
    match node:
        case ast.Compare(left, ops, right):
            for n, op in enumerate(ops):
                for other in SWAPS[type(op)]:
                    yield ast.Compare(left, [*ops[:n], other(), *ops[n + 1 :]], right)
        case ast.BinOp(left, op, right):
            for other in SWAPS.get(type(op), ()):
                yield ast.BinOp(left, other(), right)
        case ast.BoolOp(op, values):
            for other in SWAPS[type(op)]:
                yield ast.BoolOp(other(), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.Constant(value):
            yield from map(ast.Constant, constants(value))
        case ast.Return(value=ast.expr()):
            yield ast.Return(ast.Constant(None))
        case ast.Raise() | ast.Expr(ast.Call()):
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
        case ast.IfExp() | ast.If():
            for truth in (True, False):
                yield type(node)(ast.Constant(truth), node.body, node.orelse)


def constants(value):
    """Return what is written in the place of a constant."""
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [value + 1]
        case str():
            return ["XX" + value]
        case bytes():
            return [b"XX" + value]
        case None:
            return [""]
    return []


def parts(node, lines):
    """Yield each part below a node, where it hangs, and the lines of its statement.

    Annotations and documentation are no part of what a program does.
    """
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for n, part in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(part, ast.AST) or documents(part):
                continue
            own = span(part, lines)
            yield part, (value, n) if isinstance(value, list) else (node, field), own
            yield from parts(part, own)


def documents(part):
    match part:
        case ast.Expr(ast.Constant()) | ast.If(ast.Name("TYPE_CHECKING")):
            return True
    return False


def span(part, lines):
    """Return the lines of a statement without the blocks in it."""
    if not isinstance(part, ast.stmt | ast.excepthandler | ast.pattern):
        return lines
    first = min([part.lineno, *(each.lineno for each in getattr(part, "decorator_list", ()))])
    match part:
        case ast.Match(cases=[case, *_]):
            last = case.pattern.lineno - 1
        case _:
            blocks = getattr(part, "body", None)
            last = blocks[0].lineno - 1 if blocks else part.end_lineno
    return range(first, max(first, last) + 1)


def mutants(source):
    """Yield each mutant of a program: what is changed, the lines of the statement, its text."""
    tree = ast.parse(source)
    same = ast.unparse(tree)
    for part, (place, key), lines in parts(tree, range(0)):
        for other in changed(part):
            put(place, key, other)
            text = ast.unparse(tree)
            put(place, key, part)
            old, new = (" ".join(ast.unparse(each).split()) for each in (part, other))
            if text != same:
                yield f"{old:.70} -> {new:.70}", lines, text


def put(place, key, part):
    if isinstance(place, list):
        place[key] = part
    else:
        setattr(place, key, part)


def forked(work, seconds):
    """Do work in a process of its own, and return its exit status; negative for a signal."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.setsid()
            signal.alarm(int(seconds))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            status = int(work())
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what its tests have left
    return status


def tested(files, *plugins):
    """Run tests of the copy, which is the current folder, and return pytest's exit status."""
    hypothesis.settings.register_profile(
        "mutation",
        deadline=None,
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")
    data = ROOT.parent / "shared" / "data"
    words = f"-x -q --assert=plain -p no:cacheprovider --data-dir={data} --basetemp=base".split()
    return pytest.main([*words, *files], plugins=plugins)


class Reach:
    """Which lines of a module each test reaches, whether it starts processes, and what it takes.

    That is seconds, and seconds of the processor, those of its processes included.
    """

    def __init__(self, module):
        self.module, self.test = module, ""
        self.coverage = coverage.Coverage(
            data_file=None, config_file=False, include=[str(Path(module).resolve())]
        )
        self.seconds, self.work, self.starting = {}, {}, set()

    def measure(self, files, report):
        sys.addaudithook(self.hear)
        self.coverage.start()
        module = importlib.import_module(self.module.removesuffix(".py").replace("/", "."))
        path = str(Path(self.module).resolve())
        assert module.__file__ == path, "the tests would import another copy"
        status = tested(files, self)
        self.coverage.stop()
        lines = self.coverage.get_data().contexts_by_lineno(path)
        loaded = [name for name, module in sys.modules.items() if foreign(module)]
        report.write_bytes(pickle.dumps((lines, self.seconds, self.work, self.starting, loaded)))
        return status

    def hear(self, event, _):
        if event in ("subprocess.Popen", "os.fork", "os.posix_spawn"):
            self.starting.add(self.test)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.test = item.nodeid
        self.coverage.switch_context(item.nodeid)
        start, worked = time.perf_counter(), sum(os.times()[:4])
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.perf_counter() - start
            self.work[item.nodeid] = sum(os.times()[:4]) - worked
            self.coverage.switch_context("")


def foreign(module):
    """Whether a module is not the project's own."""
    origin = getattr(getattr(module, "__spec__", None), "origin", None) or ""
    return not Path(origin).is_relative_to(Path.cwd())


class Only:
    """Takes some tests alone, in this order."""

    def __init__(self, tests):
        self.places = {test: n for n, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.nodeid in self.places]
        items.sort(key=lambda item: self.places[item.nodeid])


class Bench:
    """A module in the copy, and what its tests reach of it."""

    def __init__(self, module):
        self.module, self.written = Path(module), 0
        self.source = self.module.read_text(encoding="utf-8")
        self.files = [f"tests/{name}" for name in MODULES[module].split()]
        report = Path("reach")
        if forked(lambda: Reach(module).measure(self.files, report), 3600):
            raise SystemExit(f"{module}: its tests fail as they are")
        self.lines, self.seconds, self.work, self.starting, loaded = pickle.loads(
            report.read_bytes()
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in loaded:
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
        gc.freeze()  # or each fork would look through all of it
        self.lines[0] = [""]

    def tests(self, lines):
        """Return the tests of some lines: those that reach them, the fastest first, and others."""
        reaching = {test for line in lines for test in self.lines.get(line, ())}
        # What runs at import is everybody's.
        wanted = self.seconds if "" in reaching else reaching | self.starting
        short = [test for test in wanted if self.work[test] <= LONGEST]
        return sorted(short, key=lambda test: (test not in reaching, self.work[test]))

    def status(self, text, lines):
        """Return how tests end with this text in the module's place: 0 where none fails."""
        self.write(text)
        tests = self.tests(lines)
        seconds = PATIENCE + 10 * sum(self.seconds[test] for test in tests)
        return forked(lambda: self.quietly(tests), seconds) if tests else 0

    def quietly(self, tests):
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        return tested(sorted({test.partition("::")[0] for test in tests}), Only(tests))

    def write(self, text):
        self.module.write_text(text, encoding="utf-8")
        self.written += 1  # a time of its own, by which Python knows what it has compiled
        os.utime(self.module, (self.written, self.written))


def measure(module, only, every):
    """Try mutants of a module, of one line or all; return how many were tried and killed."""
    bench = Bench(module)
    start, ends = time.monotonic(), []
    if bench.status(ast.unparse(ast.parse(bench.source)), [0]):
        raise SystemExit(f"{module}: its tests fail with the same program written otherwise")
    for n, (what, lines, text) in enumerate(mutants(bench.source)):
        if n % every or (only and only not in lines):
            continue
        ends.append(bench.status(text, lines))
        if ends[-1] in (0, STUCK):
            print(f"{module}:{lines[0]}: {what}{' is stuck' * (ends[-1] == STUCK)}", flush=True)
    bench.write(bench.source)
    seconds, tried, killed = time.monotonic() - start, len(ends), len(ends) - ends.count(0)
    print(f"{module}: {killed} of {tried} killed in {seconds:.0f} s", flush=True)
    return tried, killed


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("module", nargs="*", default=list(MODULES), help="such as %(default)s")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try one mutant of N")
    options = parser.parse_args()
    given = [word.partition(":") for word in options.module]
    # Plugins that these tests do not need would be a third of the time.
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    rows = ["| module | mutants | killed | % |", "| --- | ---: | ---: | ---: |"]
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        for name in ("runner", "conf", "tests"):
            shutil.copytree(
                ROOT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(ROOT / "pyproject.toml", folder)
        os.chdir(folder)
        sys.path[0] = os.environ["PYTHONPATH"] = str(Path.cwd())
        for module, _, line in given:
            tried, killed = measure(module, int(line or 0), options.every)
            rows.append(f"| `{module}` | {tried} | {killed} | {100 * killed / tried:.1f} |")
        os.chdir(ROOT)
    print("\n".join(rows))


if __name__ == "__main__":
    main()
