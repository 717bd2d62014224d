"""Tables and charts from records and facts, as one HTML file."""

from convarium.report.page import write_report
from convarium.report.run_page import write_run

__all__ = ["write_report", "write_run"]
