"""Operators by what they do to the rows of a tensor: nothing, reduce an axis, choose between two, write into a part."""

from __future__ import annotations

from model.instrumentation.operators.recorder import SOFTMAX

# Of single cells or rows: every row stays where it is.
_CELLS = """
    add sub rsub mul div neg exp exp2 expm1 log log1p log2 sqrt rsqrt reciprocal pow square abs sign sin cos tan tanh sinh cosh
    sigmoid relu relu6 gelu silu elu celu selu leaky_relu prelu _prelu_kernel softplus mish hardtanh hardswish hardsigmoid
    threshold log_sigmoid_forward erf erfinv logit nan_to_num clamp clamp_min clamp_max maximum minimum fmod remainder floor
    ceil round trunc lerp addcmul addcdiv masked_fill dropout native_dropout bernoulli logaddexp atan2 hypot copysign xlogy
    polar complex conj _conj _conj_physical real imag tril triu
"""
_COMPARES = """
    eq ne lt le gt ge isnan isinf isfinite logical_not logical_and logical_or bitwise_and bitwise_or bitwise_not
"""
_OF_ROWS = """
    _log_softmax native_layer_norm _fused_rms_norm native_group_norm native_batch_norm _native_batch_norm_legit
    _native_batch_norm_legit_no_training cumsum
"""
_REDUCES = """
    mean sum prod amax amin max min logsumexp argmax argmin var std var_mean std_mean norm linalg_vector_norm any all
"""
_WRITES = "copy index_put _index_put_impl index_copy index_add scatter scatter_add masked_scatter index_fill put"

LOCAL = SOFTMAX | {name for names in (_CELLS, _COMPARES, _OF_ROWS) for name in names.split()}
REDUCES = frozenset(_REDUCES.split())
CHOOSES = frozenset({"where"})  # cell by cell, one of two
WRITES = frozenset(_WRITES.split())  # of those that work in place
