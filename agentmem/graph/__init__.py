"""The notes as a graph: a view, a page, a picture."""
