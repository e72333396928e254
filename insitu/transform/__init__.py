"""The transform room: from a graph to a graph."""
