"""How Sphinx makes the site: `make docs`. Nothing on its pages is asked of any network."""

from __future__ import annotations

from convarium import __version__

project = "convarium"
author = "convarium's authors"
release = version = __version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "families/prose", "generate"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = "convarium"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
