"""The report: one HTML file of tables and figures, which needs nothing but a browser."""

from runner.report.page.document import report

__all__ = ["report"]
