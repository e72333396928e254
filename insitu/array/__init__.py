"""The surface: lazy arrays, the functions on them, and the transforms of such functions."""

from insitu.array.methods import attach

attach()
