"""How the book writes numbers: 131,072 and 1.6 · 10²¹ and −0.5, wherever a program writes them."""

import math
import re

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def numeral(number: float) -> str:
    """A count with all its digits in groups of three, anything else to four significant ones."""
    if math.isfinite(number) and abs(number) < 1e15:
        if number == int(number):
            return signed(f"{int(number):,}")
        if abs(number) >= 1000:
            return signed(f"{float(number):,.0f}")
    return power_of_ten(f"{float(number):.4g}")


def singular(unit: str) -> str:
    """The unit of one thing: 1 token, 1 query, and 1 s as before."""
    return re.sub(r"(?<=\w{2})s$", "", re.sub(r"ies$", "y", unit))


def power_of_ten(text: str) -> str:
    """A number as Python prints it, ``1.6e+21``, with its power of ten written out."""
    mantissa, _, exponent = text.partition("e")
    if not exponent or "n" in text:  # which inf and nan have
        return signed(text)
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    return signed(power if mantissa == "1" else f"{mantissa} · {power}")


def in_words(text: str) -> str:
    """The same for the numbers in a sentence: long integers, but for years, and powers of ten."""
    date, long = r"\b\d\d? [A-Z][a-z]+ \d{4}\b", r"(?<![\w.,])\d{4,}(?!\w|[.,]\d)"
    grouped = re.sub(f"{date}|({long})", lambda n: f"{int(n[1]):,}" if n[1] else n[0], text)
    return re.sub(r"(?<![\w.,])\d(?:\.\d+)?e-?\d+\b", lambda n: power_of_ten(n[0]), grouped)


def signed(text: str) -> str:
    """A number with the sign that mathematics has for less than nothing."""
    return text.replace("-", "−", 1) if text.startswith("-") else text
