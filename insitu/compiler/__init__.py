"""The compiler room: graph -> simplify -> group -> loop nests -> buffer plan -> program."""

from insitu.compiler.compiled import Compiled, compile_graph

__all__ = ["Compiled", "compile_graph"]
