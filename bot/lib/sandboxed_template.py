"""Templates that people write into the settings, and untrusted texts that are put into them.

The text is Jinja's, in its sandbox: a template reads the values that it is given, and reaches nothing else. It cannot
loop for long or grow without an end: there is no `range`, texts cannot be multiplied, and the result is cut.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from itertools import accumulate, takewhile

from jinja2 import ChainableUndefined, Template, TemplateError, meta, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

_FILTERS = (
    "abs", "capitalize", "default", "d", "dictsort", "first", "float", "int", "items", "join", "last", "length", "list",
    "lower", "replace", "round", "sort", "title", "trim", "truncate", "unique", "upper",
)  # fmt: skip
#: They read other templates, or define what only a program needs.
_REFUSED = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block, nodes.Macro, nodes.CallBlock)
_FORBIDDEN_OPERATORS = frozenset({"*", "**", "%"})
_PIECES = 2000
#: With one of these, a template says itself what stands where a value is missing.
_CHOOSES = (nodes.If, nodes.CondExpr, nodes.Or, nodes.For)
_DEFAULTS = frozenset({"default", "d"})
#: What expressions raise.
_FAILURES = (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class BadTemplate(ValueError):
    """The template cannot be used; the text says why, and where."""


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = _FORBIDDEN_OPERATORS

    def call_binop(self, context: object, operator: str, left: object, right: object) -> object:  # noqa: ARG002
        """The result of an operator is not bounded by what it is given: `"x" * 10 ** 9`."""
        raise SecurityError(f"the operator {operator} is not allowed in a template")


class SandboxedTemplate:
    """One template, compiled. Raises `BadTemplate` if it never can be rendered."""

    def __init__(self, text: str, *, names: Collection[str]) -> None:
        """`names`: the values that `render` will be given; any other name is an error."""
        sandbox = _Sandbox(undefined=ChainableUndefined, autoescape=False, keep_trailing_newline=False)
        sandbox.filters = {name: sandbox.filters[name] for name in _FILTERS}
        sandbox.globals.clear()
        try:
            parsed = sandbox.parse(text)
            self._template = sandbox.from_string(text)
        except TemplateError as error:
            line = f", line {error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
            raise BadTemplate(f"is not a template{line}: {error.message}") from None
        if next(parsed.find_all(_REFUSED), None) is not None:
            raise BadTemplate("must be a text with values: no macro, block, include, import or extends")
        for operation in parsed.find_all(nodes.BinExpr):
            if operation.operator in _FORBIDDEN_OPERATORS:
                raise BadTemplate(f"must not use the operator {operation.operator}")
        for name in sorted(meta.find_undeclared_variables(parsed) - set(names)):
            near = get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(names))}"
            raise BadTemplate(f"uses {name}, which there is not; {hint}")

        chooses = any(parsed.find_all(_CHOOSES)) or any(one.name in _DEFAULTS for one in parsed.find_all(nodes.Filter))
        #: What is left of it where all of its values are missing; None where that may be meant.
        self._empty = None if chooses or not meta.find_undeclared_variables(parsed) else _left_of(self._template)

    def render(self, values: Mapping[str, object], most: int) -> str:
        """The text, of at most `most` characters. Raises `BadTemplate` where these values cannot be put into it."""
        try:
            pieces = [piece for _, piece in zip(range(_PIECES), self._template.generate(values), strict=False)]
        except _FAILURES as error:
            raise BadTemplate(f"cannot be filled in: {error}") from None
        if self._empty is not None and "".join(pieces) == self._empty:
            raise BadTemplate("names only values that this alert does not have")
        lengths = accumulate(map(len, pieces))
        fitting = sum(1 for _ in takewhile(lambda length: length < most, lengths))
        return "".join(pieces[: fitting + 1])[:most].strip()


def _left_of(template: Template) -> str | None:
    try:
        return template.render({})
    except _FAILURES:
        return None
