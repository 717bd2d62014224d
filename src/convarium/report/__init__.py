"""Tables and charts from records and facts, as one HTML file."""

from convarium.report.page import write_report

__all__ = ["write_report"]
