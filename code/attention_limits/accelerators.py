"""What accelerators can do at most: published peaks, and no measurements.

The FLOPs are those of dense products of bfloat16 numbers, without the doubling that data sheets
print for sparse ones.  The sources are copies of the makers' data sheets, and notes that quote
them; where two of them differ, the smaller number stands here and the note says so.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Accelerator:
    """One accelerator: how fast it computes, how fast it reads, how much it holds."""

    name: str
    peak: float  # FLOPs a second, dense bfloat16
    bandwidth: float  # bytes a second, between its memory (HBM) and its chip
    capacity: float  # bytes of that memory
    year: int  # of its announcement
    note: str  # where the numbers are from, and what else is said

    @property
    def balance(self) -> float:
        """FLOPs a byte at which computing takes as long as reading."""
        return self.peak / self.bandwidth


ACCELERATORS = {
    accelerator.name: accelerator
    for accelerator in (
        Accelerator(
            "A100",
            312e12,
            2.039e12,
            80e9,
            2020,
            "SXM, 80 GB: NVIDIA's A100 data sheet as glennklockwood.com/garden/processors/A100 "
            "quotes it; the card of 40 GB reads 1.555 TB/s",
        ),
        Accelerator(
            "H100",
            989.4e12,
            3.35e12,
            80e9,
            2022,
            "SXM5, 80 GB: archive-lib.hpctech.co.jp/gpuproduct/nvidia-h100.html, where 1979 "
            "TFLOP/s are sparse; products of FP8 numbers are twice as fast",
        ),
        Accelerator(
            "B200",
            2250e12,
            8e12,
            180e9,
            2024,
            "1000 W, in HGX and DGX: glennklockwood.com/garden/processors/B200; 180 GB as in "
            "NVIDIA's tuning guide for Blackwell, where announcements say 192; 7.67 TB/s follow "
            "from the bus and clock of a real card (pull request 4002 of pytorch/ao)",
        ),
    )
}
