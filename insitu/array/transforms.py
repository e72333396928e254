"""Derivatives of Python functions of arrays: `grad`, `value_and_grad`, `vjp`, `jvp`, `stop_gradient`."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, FLAG, FUNCTION, WHOLE, Checked, Several, Whole, checked, told
from insitu.array.array import Array
from insitu.array.checks import whole
from insitu.array.convert import asarray
from insitu.array.evaluate import keep_history
from insitu.array.tree import Structure, describe, flatten, unflatten
from insitu.array.variable import Variable, traces
from insitu.errors import ArgumentError, DTypeError, ShapeError, UserError
from insitu.graph.node import Node, placeholder, topological
from insitu.transform.autodiff import backward, jvp_nodes

ArgNums = int | Sequence[int]
ARGNUMS = Whole(slug="grad-argnums", fix="pass argnums=0 for the first argument, -1 for the last, (0, 1) for the first two") | Several(
    WHOLE, least=0, slug="grad-argnums"
)
TREES = Checked("a tuple of arrays and trees of arrays", ([[1.0, 2.0]],), (1.0, [], {}))


# -- reverse mode of a scalar ----------------------------------------------------------------------------
@checked(function=FUNCTION, argnums=ARGNUMS, has_aux=FLAG)
def grad(function: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function whose result is one number.

    Parameters
    ----------
    function : callable
        Takes arrays and trees of arrays (dict, list, tuple, dataclass); returns an array of shape (). In the place of a
        `Variable` it gets the array in it; reading the variable itself, as a layer does with its weights, gives the same array.
    argnums : int or sequence of int
        Positional arguments to differentiate with respect to; their leaves are floating.
    has_aux : bool
        The function returns ``(number, more)``, and the gradient function ``(gradient, more)``.

    Returns
    -------
    callable
        With the arguments of ``function``; gives the gradient, of the form and shapes of the argument
        (a tuple of them for a sequence of ``argnums``), and zeros where the result does not depend on it.

    Raises
    ------
    ShapeError
        If the result is not one number.
    DTypeError
        If an argument or the result is not floating.

    Examples
    --------
    >>> import insitu as si
    >>> si.grad(lambda x: si.sum(x * x))(si.asarray([1.0, 2.0]))
    Array([2., 4.], dtype=float32)
    >>> si.grad(si.grad(lambda x: x ** 3))(2.0)
    Array(12., dtype=float32)
    >>> w = si.Variable([1.0, 2.0])
    >>> si.grad(lambda params: si.sum(w.value * params["w"]))({"w": w})
    {'w': Array([2., 4.], dtype=float32)}
    """
    both = value_and_grad(function, argnums, has_aux)

    @functools.wraps(function)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, grads = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return gradient


@checked(function=FUNCTION, argnums=ARGNUMS, has_aux=FLAG)
def value_and_grad(function: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The value of a function and its gradient; parameters as for `grad`.

    Returns
    -------
    callable
        Gives ``(value, gradient)``, or ``((value, more), gradient)`` with ``has_aux``.

    Examples
    --------
    >>> import insitu as si
    >>> si.value_and_grad(lambda x: si.sum(x * x))(si.asarray([1.0, 2.0]))
    (Array(5., dtype=float32), Array([2., 4.], dtype=float32))
    """
    name = getattr(function, "__name__", "function")

    @functools.wraps(function)
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        chosen = _arguments(name, argnums, len(args))
        wrapped, inputs, structures, held = _wrapped("grad", name, args, chosen)
        with keep_history(), _standing_in(held):
            result = function(*wrapped, **kwargs)
            if has_aux and (not isinstance(result, tuple) or len(result) != 2):
                raise _no_aux(name, result)
            out = _scalar(name, result[0] if has_aux else result, has_aux)
            found = backward([out], [ops.constant(1, out.aval.dtype)], inputs)
        grads = _trees(structures, _filled(found, inputs))
        value = (Array(out), result[1]) if has_aux else Array(out)
        return value, grads[0] if whole(argnums) is not None else tuple(grads)

    return value_and_gradient


def _arguments(name: str, argnums: ArgNums, count: int) -> list[int]:
    """The places of the arguments to differentiate."""
    numbers = [argnums] if whole(argnums) is not None else list(argnums)  # type: ignore[arg-type]
    out = []
    for number in numbers:
        n = whole(number)
        if n is None or not -count <= n < count:
            raise ArgumentError(
                f'The gradient of {name} is asked for with respect to argument {number!r}, but there are {count} positional arguments.',
                expected=f"argnums from 0 to {count - 1}" if count else "at least one positional argument", received=f"argnums={argnums!r}",
                fix="pass the arguments by position, and count them from 0", slug="grad-argnums", argument="argnums",
            )  # fmt: skip
        if n % count in out:
            raise ArgumentError(
                f"The gradient of {name} is asked for twice with respect to argument {n % count}.", expected="each argument at most once",
                received=f"argnums={argnums!r}", fix="name it once", slug="grad-argnums", argument="argnums",
            )  # fmt: skip
        out.append(n % count)
    return out


#: A variable, and the node that its readers get while a function of it is differentiated.
Held = tuple[Variable, Node]


def _wrapped(what: str, name: str, args: Sequence[Any], chosen: Sequence[int]) -> tuple[list[Any], list[Node], list[Structure], list[Held]]:
    """The arguments with a new node for each chosen leaf; these nodes; the forms of the chosen arguments; the variables among the leaves."""
    full = list(args)
    inputs: list[Node] = []
    structures = []
    held: list[Held] = []
    for n in chosen:
        leaves, structure = flatten(args[n])
        nodes = [ops.identity(_floating_leaf(what, name, n, leaf)) for leaf in leaves]
        full[n] = unflatten(structure, [Array(x) for x in nodes])
        inputs += nodes
        structures.append(structure)
        held += [(leaf, node) for leaf, node in zip(leaves, nodes, strict=True) if isinstance(leaf, Variable)]
    return full, inputs, structures, held


#: Outside of traces the variables themselves change for a while, which no second thread may do at the same time.
_turns = threading.RLock()


@contextlib.contextmanager
def _standing_in(held: Sequence[Held]) -> Iterator[None]:
    """While inside, who reads one of these variables gets its node, so that the result depends on it."""
    with _turns if held and not traces.open else contextlib.nullcontext():
        before = [_exchange(v, node) for v, node in held]
        try:
            yield
        finally:
            for (v, node), old in reversed(list(zip(held, before, strict=True))):
                if v.value._node is node:  # else the function has assigned another value
                    _exchange(v, old)


def _exchange(variable: Variable, node: Node) -> Node:
    """Put a node into a variable without more ado; gives the one that was there."""
    old = variable.value._node
    if traces.open:
        traces.open[-1].now[variable] = node
    else:
        variable.node = node
    return old


def _floating_leaf(what: str, name: str, n: int, leaf: Any) -> Node:
    if isinstance(leaf, (str, bytes)) or callable(leaf):
        raise _not_floating(what, name, n, type(leaf).__name__)
    node = asarray(leaf)._node
    if not node.aval.dtype.is_float:
        raise _not_floating(what, name, n, f"shape {node.shape}, {node.dtype.name}")
    return node


def _not_floating(what: str, name: str, n: int, received: str) -> UserError:
    return DTypeError(
        f"{what} cannot differentiate {name} with respect to argument {n}: it is not floating.",
        expected="arrays of " + ", ".join(d.name for d in dt.FLOATS), received=received,
        fix="convert it with astype(si.float32), or leave it out of argnums", slug="grad-integer-input",
    )  # fmt: skip


def _scalar(name: str, result: Any, has_aux: bool) -> Node:
    """The node of a result that must be one floating number."""
    leaves, structure = flatten(result)
    if len(leaves) != 1 or structure.kind != "leaf":
        fix = "return only the number" if has_aux else "return only the number, or (number, more) with has_aux=True"
        raise _not_scalar(name, f"{len(leaves)} values in {describe(structure)}", fix)
    node = asarray(result)._node
    if node.aval.shape != ():
        raise _not_scalar(name, f"shape {node.shape}, {node.dtype.name}", "reduce it, for example with si.sum or si.mean")
    if not node.aval.dtype.is_float:
        raise DTypeError(
            f"grad needs a floating result, and {name} returned {node.dtype.name}.", expected="a floating number", received=node.dtype.name,
            fix="compute the loss from floating values (no argmax, no comparison)", slug="grad-not-scalar",
        )  # fmt: skip
    return node


def _not_scalar(name: str, received: str, fix: str) -> UserError:
    return ShapeError(
        f"grad needs a function that returns one number, and {name} returned something else.", expected="an array of shape ()",
        received=received, fix=fix, slug="grad-not-scalar",
    )  # fmt: skip


def _no_aux(name: str, result: Any) -> UserError:
    return ArgumentError(
        f"With has_aux=True, {name} must return two things.", expected="(number, more)", received=type(result).__name__,
        fix="return (loss, more), or leave out has_aux", slug="grad-aux",
    )  # fmt: skip


def _filled(found: Sequence[Node | None], inputs: Sequence[Node]) -> list[Array]:
    return [Array(ops.zeros_like(x) if g is None else g) for g, x in zip(found, inputs, strict=True)]


def _trees(structures: Sequence[Structure], leaves: list[Array]) -> list[Any]:
    """The leaves as one tree for each structure."""
    out, at = [], 0
    for s in structures:
        out.append(unflatten(s, leaves[at : at + s.count]))
        at += s.count
    return out


# -- vector-Jacobian and Jacobian-vector products ----------------------------------------------------------
@checked(function=FUNCTION, has_aux=FLAG)
def vjp(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """A function's value, and the function from cotangents of its result to cotangents of its arguments.

    Parameters
    ----------
    function : callable
        Takes and returns arrays and trees of arrays.
    *primals : Array or tree of Array
        Floating arguments.
    has_aux : bool
        The function returns ``(result, more)``.

    Returns
    -------
    value : Array or tree of Array
    pullback : callable
        Takes a cotangent of the form of ``value``; gives a tuple with a cotangent for each argument.
    more : Any
        Only with ``has_aux``.

    Examples
    --------
    >>> import insitu as si
    >>> value, pullback = si.vjp(si.sin, si.asarray([0.0]))
    >>> pullback(si.asarray([2.0]))
    (Array([2.], dtype=float32),)
    """
    name = getattr(function, "__name__", "function")
    wrapped, inputs, structures, held = _wrapped("vjp", name, primals, range(len(primals)))
    with keep_history(), _standing_in(held):
        result = function(*wrapped)
        if has_aux and (not isinstance(result, tuple) or len(result) != 2):
            raise _no_aux(name, result)
        outs, outline = flatten(result[0] if has_aux else result)
        outputs = [asarray(x)._node for x in outs]
        # built now, while the history is there; the cotangents take their places when they are known
        holders = [placeholder(out.aval) for out in outputs]
        found = backward(outputs, holders, inputs)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        nodes = _matching("vjp", "cotangent", cotangent, outline, outputs)
        new = _substituted([g for g in found if g is not None], dict(zip(holders, nodes, strict=True)))
        known = iter(new)
        return tuple(_trees(structures, _filled([None if g is None else next(known) for g in found], inputs)))

    value = unflatten(outline, [Array(x) for x in outputs])
    return (value, pullback, result[1]) if has_aux else (value, pullback)


@checked(function=FUNCTION, primals=TREES, tangents=TREES, has_aux=FLAG)
def jvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """A function's value, and its derivative in the direction of tangents.

    Parameters
    ----------
    function : callable
        Takes and returns arrays and trees of arrays.
    primals : sequence of Array or tree of Array
        Floating arguments.
    tangents : sequence
        A direction for each argument, of its form, shapes and dtypes.
    has_aux : bool
        The function returns ``(result, more)``.

    Returns
    -------
    value, derivative : Array or tree of Array
    more : Any
        Only with ``has_aux``.

    Examples
    --------
    >>> import insitu as si
    >>> si.jvp(si.sin, (si.asarray([0.0]),), (si.asarray([2.0]),))
    (Array([0.], dtype=float32), Array([2.], dtype=float32))
    """
    name = getattr(function, "__name__", "function")
    if not isinstance(primals, (tuple, list)):
        raise ArgumentError(
            "jvp: primals must be a tuple of the function's arguments.", expected="a tuple of arrays and trees of arrays",
            received=f"primals={told(primals)}", fix="pass a tuple, also for one argument: (x,)", slug="argument-list", argument="primals",
        )  # fmt: skip
    wrapped, inputs, structures, held = _wrapped("jvp", name, primals, range(len(primals)))
    directions = []
    at = 0
    for primal, tangent in zip(structures, _as_many(tangents, len(primals)), strict=True):
        directions += _matching("jvp", "tangent", tangent, primal, inputs[at : at + primal.count])
        at += primal.count
    with keep_history(), _standing_in(held):
        result = function(*wrapped)
        if has_aux and (not isinstance(result, tuple) or len(result) != 2):
            raise _no_aux(name, result)
        outs, outline = flatten(result[0] if has_aux else result)
        outputs = [asarray(x)._node for x in outs]
        found = jvp_nodes(outputs, inputs, directions)
    value = unflatten(outline, [Array(x) for x in outputs])
    derivative = unflatten(outline, [Array(x) for x in found])
    return (value, derivative, result[1]) if has_aux else (value, derivative)


def _as_many(tangents: Sequence[Any], count: int) -> Sequence[Any]:
    if not isinstance(tangents, (tuple, list)) or len(tangents) != count:
        raise ArgumentError(
            'jvp needs one tangent for each argument in "primals".', expected=f"a tuple of {count}",
            received=f"{len(tangents)} tangents" if isinstance(tangents, (tuple, list)) else f"tangents={told(tangents)}",
            fix="pass a tuple, also for one argument: (t,)", slug="jvp-tangents", argument="tangents",
        )  # fmt: skip
    return tangents


def _matching(what: str, kind: str, tree: Any, structure: Structure, like: Sequence[Node]) -> list[Node]:
    """The nodes of a tree that must have the form, shapes and dtypes of others; Python numbers take the dtype."""
    leaves, form = flatten(tree)
    if form is not structure:
        raise ArgumentError(
            f"{what}: the {kind} has another form than what it belongs to.", expected=describe(structure), received=describe(form),
            fix="use the same containers", slug=f"{what}-{kind}",
        )  # fmt: skip
    out = []
    for leaf, x in zip(leaves, like, strict=True):
        node = asarray(leaf, dtype=x.dtype if isinstance(leaf, (int, float)) and not isinstance(leaf, np.generic) else None)._node
        if node.aval is not x.aval:
            raise ShapeError(
                f"{what}: a {kind} does not fit what it belongs to.", expected=f"shape {x.shape}, {x.dtype.name}",
                received=f"shape {node.shape}, {node.dtype.name}", fix="make the shape and the dtype equal", slug=f"{what}-{kind}",
            )  # fmt: skip
        out.append(node)
    return out


def _substituted(outputs: Sequence[Node], values: dict[Node, Node]) -> list[Node]:
    """The graph with other nodes in the places of some of its leaves; what does not depend on them is shared."""
    made = dict(values)
    for n in topological(outputs, lambda n: n.memory is not None or n in values):
        if n not in made:
            same = n.memory is not None or all(made[i] is i for i in n.inputs)
            made[n] = n if same else Node(n.prim, tuple([made[i] for i in n.inputs]), n.attrs, n.aval)
    return [made[n] for n in outputs]


@checked(x=ARRAY)
def stop_gradient(x: Any, /) -> Any:
    """The same values, through which no gradient passes.

    Parameters
    ----------
    x : Array or tree of Array

    Examples
    --------
    >>> import insitu as si
    >>> si.grad(lambda x: x * si.stop_gradient(x))(3.0)
    Array(3., dtype=float32)
    """
    leaves, structure = flatten(x)
    return unflatten(structure, [Array(ops.stop_gradient(asarray(leaf)._node)) for leaf in leaves])


__all__ = ["grad", "jvp", "stop_gradient", "value_and_grad", "vjp"]
