"""The graph room: nodes, primitives, printing and verifying."""
