"""Under which options a module is checked, and whether it can be checked at all."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from attention_limits.contract.calls import FaultError, needed, parameters_of, takes
from attention_limits.contract.findings import listed
from attention_limits.contract.mechanism import Case, Module, Options
from attention_limits.contract.sizes import D, Size


class UnusableError(ValueError):
    """What cannot be checked at all, such as a module without an ``attend``."""


def cases_of(
    module: Module,
    options: Options | Sequence[Options] | None,
    causal: bool | None,
    size: Size,
) -> list[Case]:
    """The cases to check a module under: those given, else its CASES, else causal or not.

    Raises:
        UnusableError: saying what the module lacks.
    """
    attend = getattr(module, "attend", None)
    if not callable(attend):
        raise UnusableError("module must have a function attend(q, k, v), got none")
    try:
        parameters = parameters_of(attend)
    except ValueError as error:
        raise UnusableError(
            "attend must be a function written in Python, whose arguments can be read, such as "
            f"def attend(q, k, v): return …, got {attend!r}"
        ) from error
    if len(parameters) < 3:
        raise UnusableError(
            f"attend must take q, k and v, got {', '.join(parameters) or 'nothing'}"
        )
    given = options if options is not None else getattr(module, "CASES", None)
    if given is None:
        given = [{"causal": False}, {"causal": True}] if "causal" in parameters else [{}]
    rows: Iterable[Options] = [given] if isinstance(given, Mapping) or callable(given) else given
    cases = [_case(module, row, causal, size) for row in rows]
    if not cases:
        raise UnusableError("CASES must have at least one row of options, got none")
    return cases


def _case(module: Module, row: Options, causal: bool | None, size: Size) -> Case:
    """One case, its arguments looked at once."""
    if not isinstance(row, Mapping) and not callable(row):
        raise UnusableError(f"CASES must have rows like {{'window': 4}}, got {row!r}")
    case = Case(module, row, None, size)
    try:
        options, drawn = case.options_at(5), case.draw((2, 5, D))
    except FaultError as fault:
        raise UnusableError(
            f"the module must say what to check it with, got none: {fault}"
        ) from fault
    _check_arguments(module.attend, options, list(drawn)[3:])
    case.causal = _claim(module, options, causal)
    return case


def _claim(module: Module, row: Mapping, causal: bool | None) -> bool | None:
    """Whether a case says that it is causal: what is nearer to it is asked first."""
    parameter = parameters_of(module.attend).get("causal")
    if causal is not None:
        return causal
    if "causal" in row or parameter:
        return bool(row.get("causal", parameter and parameter.default is True))
    if hasattr(module, "CAUSAL"):
        return bool(module.CAUSAL)
    return True if hasattr(module, "step") else None  # a stream cannot look ahead


def _check_arguments(attend: Callable, options: Mapping, further: Sequence[str]) -> None:
    """Refuse options that ``attend`` does not take, and one that asks for what nobody gives."""
    if strange := [name for name in (*options, *further) if not takes(attend, name)]:
        raise UnusableError(
            f"options must be ones that attend takes, {listed(parameters_of(attend))}, "
            f"got {listed(strange)}"
        )
    if lacking := [n for n in needed(attend) if n not in options and n not in further]:
        raise UnusableError(
            f"attend must be told its {listed(lacking)}, got nothing: give a number by "
            f"CASES = [{{{lacking[0]!r}: …}}], options={{{lacking[0]!r}: …}} or "
            f"--option {lacking[0]}=…, and a tensor by "
            f"inputs(q, k, v, generator), which returns {{{lacking[0]!r}: …}}"
        )
