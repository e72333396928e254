"""The CPU that code is made for: its name, features, vector width and register count."""

from __future__ import annotations

import dataclasses
import functools

#: Bytes of a line of the cache, and of the pages that instructions of ARM count up to what they refer to.
LINE, PAGE = 64, 4096
#: Prefixes of LLVM's names of what a CPU is good at, listed among the features it has.
_TUNING = ("tuning", "prefer-", "fast-", "slow-", "false-deps", "branchfusion", "macrofusion", "no-", "idiv")


@dataclasses.dataclass(frozen=True)
class Target:
    """What the code generator needs to know of a CPU.

    Attributes
    ----------
    triple : str
        LLVM's target triple.
    cpu : str
        LLVM's CPU name, such as ``"haswell"``; used for tuning and, for named CPUs, features.
    features : str
        LLVM feature string, sorted, such as ``"+avx2,+fma"``.
    vector_bits : int
        Width of the vectors that generated code uses.
    registers : int
        Vector registers at that width.
    fma : bool
        Whether there is a fused multiply-add; decides the arithmetic profile.
    masks : bool
        Whether masked loads and stores are cheap, and arithmetic can take one element of memory for all lanes (AVX-512).
    round : bool
        Whether there is an instruction for floor, ceil, trunc and rint.
    f16c : bool
        Whether float16 conversions are instructions.
    """

    triple: str
    cpu: str
    features: str
    vector_bits: int
    registers: int
    fma: bool
    masks: bool
    round: bool
    f16c: bool

    def lanes(self, bits: int) -> int:
        """Elements of that many bits in one vector."""
        return max(1, self.vector_bits // bits)

    @functools.cached_property
    def isa(self) -> str:
        """What decides which machine code is valid: the cache key's part of the target.

        Only features the CPU has are in it, without LLVM's tuning flags. The features of a CPU that was
        chosen by name are in part LLVM's knowledge of that name.
        """
        cpu = "" if ",-" in self.features else self.cpu
        has = ",".join(f for f in self.features.split(",") if f.startswith("+") and not f[1:].startswith(_TUNING))
        return f"{self.triple}|{cpu}|{has}|{self.vector_bits}"


def from_features(triple: str, cpu: str, features: dict[str, bool], vector_bits: int | None = None) -> Target:
    """The `Target` of a CPU whose features LLVM listed; ``vector_bits`` forces a narrower vector."""

    def has(name: str) -> bool:
        return bool(features.get(name))

    arm = triple.startswith(("aarch64", "arm64"))
    natural = 512 if has("avx512f") and has("avx512vl") and has("avx512bw") and has("avx512dq") else 256 if has("avx") else 128
    bits = min(natural, vector_bits or natural)
    return Target(
        triple=triple,
        cpu=cpu,
        features=",".join(f"{'+' if on else '-'}{name}" for name, on in sorted(features.items())),
        vector_bits=bits,
        registers=32 if natural == 512 or arm else 16,
        fma=has("fma") or arm,
        masks=natural == 512,
        round=has("sse4.1") or arm,
        f16c=has("f16c") or arm,
    )


def host() -> tuple[str, str, dict[str, bool]]:
    """LLVM's names of this machine: its triple, its CPU, and the features that this has (or has not)."""
    import llvmlite.binding as llvm

    return llvm.get_process_triple(), llvm.get_host_cpu_name(), dict(llvm.get_host_cpu_features())


@functools.cache
def named(cpu: str, vector_bits: int | None = None) -> Target:
    """The `Target` of a CPU by LLVM's name (``"haswell"``), or of this machine (``"native"``)."""
    triple, name, features = host()
    if cpu == "native":
        return from_features(triple, name, features, vector_bits)
    return from_features(triple, cpu, _features_of(triple, cpu), vector_bits)


#: Features of the x86-64 levels and of CPUs people name; LLVM itself cannot be asked through llvmlite.
_LEVELS = {
    1: "sse sse2 cx8 fxsr mmx",
    2: "sse3 ssse3 sse4.1 sse4.2 popcnt cx16 sahf",
    3: "avx avx2 bmi bmi2 f16c fma lzcnt movbe",
    4: "avx512f avx512bw avx512cd avx512dq avx512vl",
}
_CPU_FEATURES = {
    "x86-64": (1, ""), "x86-64-v2": (2, ""), "x86-64-v3": (3, ""), "x86-64-v4": (4, ""),
    "core2": (1, "sse3 ssse3 cx16 sahf"), "penryn": (1, "sse3 ssse3 sse4.1 cx16 sahf"), "nehalem": (2, ""), "goldmont": (2, "movbe"),
    "sandybridge": (2, "avx"), "ivybridge": (2, "avx f16c"), "haswell": (3, ""), "broadwell": (3, ""), "skylake": (3, ""),
    "znver1": (3, ""), "znver2": (3, ""), "znver3": (3, ""), "skylake-avx512": (4, ""), "cascadelake": (4, ""),
    "icelake-server": (4, ""), "sapphirerapids": (4, ""), "znver4": (4, ""), "znver5": (4, ""),
}  # fmt: skip


def known_cpus() -> tuple[str, ...]:
    """Names that ``INSITU_CPU`` takes beside ``native``."""
    return tuple(_CPU_FEATURES)


def _features_of(triple: str, cpu: str) -> dict[str, bool]:
    from insitu.errors import ArgumentError

    if not triple.startswith("x86_64") or cpu not in _CPU_FEATURES:
        raise ArgumentError(
            f'INSITU_CPU "{cpu}" is not a CPU that insitu can name on this machine ({triple}).',
            expected="native, " + ", ".join(_CPU_FEATURES),
            received=cpu,
            fix="leave INSITU_CPU unset, or choose one of the names above",
            slug="config-cpu",
        )
    level, extra = _CPU_FEATURES[cpu]
    names = {n for k in range(1, level + 1) for n in _LEVELS[k].split()} | set(extra.split())
    return dict.fromkeys(names, True)
