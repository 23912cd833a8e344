"""The site of executed notebooks and runs, to read without a network or to pass on.

Templates, style and scripts are files beside the code."""
