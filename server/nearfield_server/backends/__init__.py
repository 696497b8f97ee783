"""Things that run a graph, behind one Protocol."""
