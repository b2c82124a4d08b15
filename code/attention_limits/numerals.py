"""How the book writes numbers: 131,072 and 1.6 · 10²¹ and −0.5, wherever a program writes them."""

import math
import re

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def numeral(number: float) -> str:
    """A count with all its digits in groups of three, anything else to four significant ones."""
    if math.isfinite(number) and abs(number) < 1e15:
        if number == int(number):
            return _signed(f"{int(number):,}")
        if abs(number) >= 1000:
            return _signed(f"{float(number):,.0f}")
    return power_of_ten(f"{float(number):.4g}")


def power_of_ten(text: str) -> str:
    """A number as Python prints it, ``1.6e+21``, with its power of ten written out."""
    mantissa, _, exponent = text.partition("e")
    if not exponent or "n" in text:  # which inf and nan have
        return _signed(text)
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    return _signed(power if mantissa == "1" else f"{mantissa} · {power}")


_MONTHS = (
    "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
)


def in_words(text: str) -> str:
    """The same for the numbers in a sentence: long integers but years, and powers of ten."""
    grouped = re.sub(
        rf"({_MONTHS} )?(?<![\w.,])(\d{{4,}})(?!\w|[.,]\d)",
        lambda n: n[0] if n[1] else f"{int(n[2]):,}",
        text,
    )
    return re.sub(r"(?<![\w.,])\d(?:\.\d+)?e-?\d+\b", lambda n: power_of_ten(n[0]), grouped)


def _signed(text: str) -> str:
    return text.replace("-", "−", 1) if text.startswith("-") else text
