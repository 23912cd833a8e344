"""Explorers for JupyterLab: ipywidgets over the figures of `lmptlib.suite.figures`, a file each.

They observe and change traces: no `interact`, no output widget, which hang in batch runs.
"""
