"""The error function."""

from __future__ import annotations

from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.functions.common import BIAS, bits_of, clamp_high, const, exponent_field, horner, round_with_magic
from insitu.codegen.cpu.functions.exponential import EXP, LOG2_E, reduce_ln2

#: erf(x) / x - 1 in x**2 for |x| < 1: relative error of erf 2**-29 and 2**-56.
_SMALL = {
    32: (0.12837916612625122, -0.3761262595653534, 0.11283578723669052, -0.026853347197175026, 0.005187162198126316,
         -0.000799785484559834, 7.806926441844553e-05),
    64: (0.12837916709551256, -0.37612638903183343, 0.11283791670936938, -0.026866170641948513, 0.005223977596545956,
         -0.0008548325470139186, 0.00012055279866296243, -1.492444980486162e-05, 1.6443908064014055e-06,
         -1.6181768590265985e-07, 1.360550085825427e-08, -7.583966100714539e-10),
}  # fmt: skip
#: -log(1 - erf(x)) for x from 1 on: what it leaves of erf is 2**-30 and 2**-57.
_LOG_COMPLEMENT = {
    32: (0.0003418320557102561, 1.1270878314971924, 0.6381472945213318, 0.10310440510511398, -0.021836820989847183,
         0.0029473132453858852, -0.0001863399229478091),
    64: (2.7816815354034617e-08, 1.1283789155689055, 0.6366207349233299, 0.10277081348712773, -0.019128040019867825,
         -0.00020231208471121144, 0.0016749738681989376, -0.0005523681952825223, -2.2003302080531805e-05,
         0.00011078133188357075, -6.476016842428451e-05, 2.427991485561157e-05, -6.784037302270307e-06, 1.46967452959854e-06,
         -2.4813192076925856e-07, 3.2193443250991984e-08, -3.1080136336357844e-09, 2.105114588076493e-10,
         -8.928014280007068e-12, 1.7836790220656202e-13),
}  # fmt: skip
#: Where erf is 1 to the last place.
_ONE = {32: 3.93, 64: 5.93}


def erf(b: Emitter, x: Value) -> Value:
    """``2 / sqrt(pi)`` times the integral of ``exp(-t**2)`` from 0 to x.

    ``x + x P(x**2)`` below 1, ``1 - exp(-G(|x|))`` from 1 on; P and G are minimax polynomials. At most 2 ULP.
    """
    n = bits_of(x)
    size = clamp_high(b, b.abs(x), _ONE[n])
    exponent = b.neg(horner(b, size, _LOG_COMPLEMENT[n]))
    q, biased = round_with_magic(b, exponent, LOG2_E, BIAS[n])
    r = reduce_ln2(b, exponent, q)
    tail = b.fma(b.mul(r, r), horner(b, r, EXP[n]), r)
    power = exponent_field(b, biased, x)
    one = const(b, 1, x)
    large = b.sub(one, b.fma(power, tail, power))
    small = b.fma(size, horner(b, b.mul(size, size), _SMALL[n]), size)
    return b.copysign(b.select(b.cmp("lt", size, one), small, large), x)
