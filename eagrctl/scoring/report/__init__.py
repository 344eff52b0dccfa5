"""What is made of scores: the paper's table with our row, as Markdown, CSV or LaTeX; everything, as JSON or a web page.

`build_report` evaluates a network, `eagrctl.scoring.label_maps` label maps of any tool; `write_reports` writes files.
"""

from eagrctl.scoring.report.build import build_report, require_formats, write_reports
from eagrctl.scoring.report.contents import Report

__all__ = ["Report", "build_report", "require_formats", "write_reports"]
