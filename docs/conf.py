"""Sphinx configuration."""

from __future__ import annotations

import sys
from pathlib import Path

import terzetto

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "terzetto"
author = "The terzetto authors"
copyright = "the terzetto authors"
version = release = terzetto.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "terzetto_reference"]
exclude_patterns = ["_build"]

html_theme = "alabaster"
html_theme_options = {
    "description": "RIST, SRT and RTSP on trio",
    "fixed_sidebar": True,
    "page_width": "1080px",
}
html_sidebars = {"**": ["about.html", "searchbox.html", "navigation.html", "relations.html"]}

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

# Our docstrings put names in single backticks, without roles; they are code and nothing more.
default_role = "code"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
