"""Tensors that a function of dense floating-point numbers cannot compute with."""

import warnings

import torch


def _named(beginning):
    found = {name: getattr(torch, name) for name in dir(torch) if name.startswith(beginning)}
    return {name: x for name, x in found.items() if isinstance(x, torch.dtype)}


def _quietly(make):
    """The same, without PyTorch's warning that what it makes is in beta state."""

    def made(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make(x)

    return made


def _rows(x):
    return x.reshape(-1, x.shape[-1])


def _nested(x, **layout):
    return torch.nested.nested_tensor(list(_rows(x)), **layout)


def _four_bits(x):
    return torch.zeros(x.shape, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)


DTYPES = {
    **{
        name: _quietly(lambda x, to=dtype: x.to(to))
        for beginning in ("float8", "complex")
        for name, dtype in _named(beginning).items()
    },
    "integers": lambda x: x.long(),
    "small integers": lambda x: x.to(torch.uint8),
    "unsigned integers": lambda x: x.to(torch.uint32),
    "booleans": lambda x: x.bool(),
}
if hasattr(torch, "float4_e2m1fn_x2"):
    DTYPES["floats of four bits"] = _four_bits
LAYOUTS = {
    "quantised": _quietly(lambda x: torch.quantize_per_tensor(x.float(), 0.1, 0, torch.qint8)),
    "nested": _quietly(_nested),
    "nested and jagged": _quietly(lambda x: _nested(x, layout=torch.jagged)),
    "sparse": lambda x: x.to_sparse(),
    "sparse rows": _quietly(lambda x: _rows(x).to_sparse_csr()),
    "of oneDNN": lambda x: x.float().to_mkldnn(),
}
# From a tensor of float32 to one of about the same shape that is refused.
UNFIT = {**DTYPES, **LAYOUTS}
