"""Constraints of arguments: declared once at the function or class, checked in its calls, read by tests and documentation.

Examples
--------
>>> from insitu.arguments import FLAG, Choice, Number, checked, constraints_of
>>> @checked(angle=Number(0, 90), unit=Choice("degrees", "radians"), exact=FLAG)
... def turn(angle, unit="degrees", exact=True):
...     return angle
>>> turn(45), {name: str(constraint) for name, constraint in constraints_of(turn).items()}["unit"]
(45.0, '"degrees" or "radians"')
"""

from insitu.arguments.declared import arguments_of, checked, constraints_of, parameters_of
from insitu.arguments.kinds import (
    ARRAY,
    AXES,
    AXIS,
    COUNT,
    DTYPE,
    FLAG,
    FUNCTION,
    NONE,
    NOT_NEGATIVE,
    NUMBER,
    PATH,
    POSITIVE,
    REFUSED,
    SEED,
    SHAPE,
    SHARE,
    TEXT,
    WHOLE,
    Axes,
    Checked,
    Choice,
    Constraint,
    DTypeName,
    Either,
    Flag,
    Function,
    Instance,
    Lengths,
    Made,
    Number,
    Numbers,
    Path,
    Several,
    Text,
    Whole,
    odd_values,
    told,
)

__all__ = [
    "ARRAY", "AXES",
    "AXIS",
    "COUNT",
    "DTYPE",
    "FLAG",
    "FUNCTION",
    "NONE",
    "NOT_NEGATIVE",
    "NUMBER",
    "PATH",
    "POSITIVE",
    "REFUSED",
    "SEED",
    "SHAPE",
    "SHARE",
    "TEXT",
    "WHOLE",
    "Axes",
    "Checked",
    "Choice",
    "Constraint",
    "DTypeName",
    "Either",
    "Flag",
    "Function",
    "Instance",
    "Lengths",
    "Made",
    "Number", "Numbers",
    "Path",
    "Several",
    "Text",
    "Whole",
    "arguments_of",
    "checked",
    "constraints_of",
    "odd_values",
    "parameters_of",
    "told",
]  # fmt: skip
