"""Hand a run or a sweep to another tool.

For example:
  runner export onnx outputs/runs/<date>/<time>_<run_id> -o model.onnx
  runner export parquet outputs/sweeps/sizes -o tables
"""

from argparse import Namespace
from pathlib import Path

from runner.commands.words import Parser, unusable
from runner.export import EXPORTERS


def parser() -> Parser:
    """Return what reads its words."""
    about = "\n".join(f"  {name:<12} {exporter.about}" for name, exporter in EXPORTERS.items())
    parser = Parser(prog="runner export", description=__doc__, epilog=f"formats:\n{about}")
    add = parser.add_argument
    add("format", choices=EXPORTERS, help="see below")
    add("path", metavar="DIR", help="the folder of a run or of a sweep")
    add("-o", "--output", metavar="OUT", help="a folder or file; the format's name if none")
    return parser


def do(options: Namespace) -> int:
    """Write it, and say where."""
    exporter = EXPORTERS[options.format]
    exporting = exporter.load(options.format)
    with unusable("export"):
        print(exporting(Path(options.path), Path(options.output or exporter.out)))
    return 0
