"""What accelerators can do at most: published peaks, and no measurements.

The FLOPs are those of dense products of bfloat16 numbers, without the doubling that data sheets
print for sparse ones.  The sources are copies of the makers' data sheets, and notes that quote
them; where two of them differ, the smaller number stands here and the note says so.

The capacity is what nvidia-smi prints, in MiB of 2²⁰ bytes: the "80 GB" of a data sheet are GiB,
7% more bytes than they say.  Programs that serve leave some of them free: vLLM uses .9 of a GPU
unless told otherwise (its option gpu_memory_utilization), TensorRT-LLM .9 of what the weights leave
(free_gpu_memory_fraction).
"""

from dataclasses import dataclass

MIB = 2**20


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
            81251 * MIB,
            2020,
            "SXM, 80 GB: NVIDIA's A100 data sheet as glennklockwood.com/garden/processors/A100 "
            "quotes it; the card of 40 GB reads 1.555 TB/s; newer versions of nvidia-smi print "
            "81920MiB",
        ),
        Accelerator(
            "H100",
            989.4e12,
            3.35e12,
            81559 * MIB,
            2022,
            "SXM5, 80 GB: archive-lib.hpctech.co.jp/gpuproduct/nvidia-h100.html, where 1979 "
            "TFLOP/s are sparse; products of FP8 numbers are twice as fast",
        ),
        Accelerator(
            "B200",
            2250e12,
            8e12,
            183359 * MIB,
            2024,
            "1000 W, in HGX and DGX: glennklockwood.com/garden/processors/B200; 180 GB in "
            "NVIDIA's tuning guide for Blackwell and 192 in announcements are the same memory, in "
            "2³⁰ and in 10⁹ bytes; 7.67 TB/s follow from the bus and clock of a real card (pull "
            "request 4002 of pytorch/ao)",
        ),
    )
}
