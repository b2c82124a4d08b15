"""Bring your own mechanism: a module of yours, held to what the library's own are held to.

    from attention_limits import contract

    import my_mechanism

    report = contract.check(my_mechanism)
    print(report)
    assert report.ok

A module needs ``attend(q, k, v)``, on tensors (..., n, d).  Each further part is held to it:

- ``define(q, k, v)``: the equation in NumPy; its output is what ``attend`` must give;
- ``visible(n, *, n_k=None)``: who sees whom; without a ``define``, the output must be that of dense
  attention under this pattern;
- ``step(state, q, k, v)``: the next tokens of a stream, and its state; None starts one;
- ``cost()``: its ``executed`` FLOPs and the bytes that a stream has ``held``, for one head, as
  Formulas, or as functions of ``n``, ``d`` and ``b``.

And it can say what to check it with:

- ``CASES = [{"window": 4}, {"window": 9}]``: options, a row a case; a row that depends on the
  number of keys is a function of it;
- ``CAUSAL = True``: no output depends on a later token; an option ``causal`` says so, too;
- ``inputs(q, k, v, generator)``: further tensors by name, such as gates, for these q, k and v.

What cannot be tried is told, and is no pass.
"""

import dataclasses
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attention_limits.checks import check_choice
from attention_limits.contract import causality, equality, gradients, precision, scaling, streaming
from attention_limits.contract.calls import FaultError, told
from attention_limits.contract.cases import UnusableError, cases_of
from attention_limits.contract.findings import Finding, Report, untried
from attention_limits.contract.mechanism import Case, Module, Options
from attention_limits.contract.sizes import SIZES
from attention_limits.progress import Progress, silent

# In this order: what fails early explains what would fail later.
CHECKS: dict[str, Callable[[Case], Iterator[Finding]]] = {
    "shapes": equality.check_shapes,
    "in place": precision.check_purity,
    "rows": precision.check_rows,
    "causality": causality.check_causality,
    "equality": equality.check_equality,
    "alignment": equality.check_alignment,
    "empty": equality.check_empty,
    "gradients": gradients.check_gradients,
    "overflow": gradients.check_overflow,
    "precision": precision.check_precision,
    "devices": precision.check_devices,
    "strides": precision.check_strides,
    "stream": streaming.check_stream,
    "FLOPs": scaling.check_flops,
    "memory": scaling.check_memory,
    "time": scaling.check_time,
}
COMPARING = {
    "rows",
    "causality",
    "equality",
    "alignment",
    "gradients",
    "precision",
    "strides",
    "stream",
}


def check(
    module: Module,
    *,
    options: Options | Sequence[Options] | None = None,
    causal: bool | None = None,
    size: str = "full",
    progress: Progress = silent,
) -> Report:
    """Hold a mechanism to the contract.

    Args:
        module: what has an ``attend``, and what else it likes: see above.
        options: one row of options or several, in place of the module's ``CASES``.
        causal: whether it claims that no output depends on a later token; None asks the module.
        size: "full" or "quick": of the inputs.
        progress: told how far it is.

    Returns:
        What was found; an exception of the module's is a finding, too.

    Raises:
        UnusableError: a ValueError that says what the module lacks to be checked at all.
    """
    check_choice("size", size, SIZES)
    cases = cases_of(module, options, causal, SIZES[size])
    findings: dict[str, list[Finding]] = {name: [] for name in CHECKS}
    for number, case in enumerate(cases):
        for place, name in enumerate(CHECKS):
            done = (number * len(CHECKS) + place) / (len(cases) * len(CHECKS))
            progress(done, f"{name} {case.name}".rstrip())
            findings[name] += _checked(name, case)
    progress(1.0, "done")
    name = getattr(module, "__name__", "the mechanism").rpartition(".")[-1]
    return Report(name, tuple(f for found in findings.values() for f in found))


def to_html(report: Report) -> str:
    """A report as a page of its own, with pictures."""
    from attention_limits.contract import figures, page  # which bring Matplotlib

    return page.page(report, figures.draw(report))


def _checked(name: str, case: Case) -> list[Finding]:
    """What one check finds in one case; what goes wrong on its way is a finding."""
    found: list[Finding] = []  # one that is made before something goes wrong stays
    if "determinism" in case.failed and name in COMPARING:
        found.append(untried(name, "two calls differ, so that nothing can be compared"))
    else:
        try:
            found.extend(CHECKS[name](case))
        except FaultError as fault:
            found.append(case.met(name, "an answer", fault))
        except Exception as error:  # ours, then; the other checks may still say something
            words = f"the check itself went wrong: {type(error).__name__}: {error}"
            found.append(untried(name, words))
    case.failed |= {finding.check for finding in found if finding.status == "failed"}
    return [dataclasses.replace(finding, case=case.name) for finding in found]


def load(path: str | Path) -> Module:
    """A reader's file as a module.

    Raises:
        UnusableError: if there is no such file, or it cannot be run.
    """
    path = Path(path).resolve()
    path = path if path.suffix else path.with_suffix(".py")  # as `new` takes it
    if path.suffix != ".py" or not path.is_file():
        raise UnusableError(f"file must be a Python file that is there, got {str(path)!r}")
    # Under a name that is nobody else's: the file may well be called linear.py.
    spec = importlib.util.spec_from_file_location(f"brought.{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their own module up
    sys.path.insert(0, str(path.parent))  # what lies beside the file can be imported, as in a run
    try:
        with told("running it", path):
            spec.loader.exec_module(module)
    except FaultError as fault:
        raise UnusableError(
            f"file must be one that can be run, got {path.name}: {fault}"
        ) from fault
    finally:
        sys.path.remove(str(path.parent))
    return module
