"""What an operator call costs in multiply-adds, or that nobody knows.

MACs are those of convolutions, linear layers and matrix products. Bias, normalisation, activation,
pooling, resize and element-wise work count 0. An operator that is in neither list is unknown: the
total is then a lower bound and names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from convarium.cost.products import FORMULAS, Product
from convarium.trace import Op
from convarium.trace.arguments import specs_in

_COPIES = """
    cat stack copy contiguous _to_copy constant_pad_nd reflection_pad1d reflection_pad2d
    replication_pad2d replication_pad3d index index_select index_add index_put _unsafe_index gather
    scatter scatter_add repeat repeat_interleave flip roll tril triu slice_scatter select_scatter
    masked_select nonzero sort topk embedding _embedding_bag one_hot pixel_shuffle pixel_unshuffle
    channel_shuffle native_channel_shuffle im2col col2im _reshape_copy _nested_view_from_buffer
    arange linspace eye fill zero full full_like empty_like new_empty new_empty_strided new_zeros
    new_ones new_full zeros zeros_like ones ones_like scalar_tensor _local_scalar_dense
    meshgrid unfold_backward bucketize searchsorted set_ resize_ _fused_sdp_choice
    """
_NORMALISATIONS = """
    native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_functional
    _native_batch_norm_legit_no_training cudnn_batch_norm native_layer_norm native_group_norm
    _batch_norm_with_update _batch_norm_no_update _fused_rms_norm linalg_vector_norm
    _softmax _log_softmax _safe_softmax var_mean std_mean cumsum logcumsumexp cumprod
    _weight_norm_interface norm _cdist_forward median mode kthvalue aminmax max min argmax argmin
    nll_loss_forward nll_loss2d_forward mse_loss binary_cross_entropy
    """
_POOLS = """
    max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d
    _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d
    max_unpool2d fractional_max_pool2d upsample_nearest1d upsample_nearest2d upsample_nearest3d
    _upsample_nearest_exact2d upsample_linear1d upsample_bilinear2d upsample_bicubic2d
    upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa
    grid_sampler_2d grid_sampler_3d affine_grid_generator
    torchvision::roi_align torchvision::roi_pool torchvision::nms
    """
_ELEMENTWISE = "hardswish floor_divide bincount histc _assert_async"
_GATES = "_thnn_fused_lstm_cell _thnn_fused_gru_cell native_dropout glu"
_RANDOM = "bernoulli rand randn rand_like randn_like randint randperm uniform normal multinomial"
_NO_MACS = set(f"{_COPIES} {_NORMALISATIONS} {_POOLS} {_ELEMENTWISE} {_GATES} {_RANDOM}".split())


def count_products(op: Op) -> Iterable[Product] | None:
    """The products of one operator call; None when no formula knows the operator."""
    if op.name in FORMULAS:
        return FORMULAS[op.name](op)
    return () if op.nature != "other" or op.name in _NO_MACS else None


def register_cost(name: str, formula: Callable[[Op], int]) -> None:
    """Teaches the count an operator of yours, for this process.

    Args:
        name: of the operator, with its namespace: "mylib::attention".
        formula: takes the call (shapes only), gives the multiply-adds of its forward pass. Each
            tensor argument that needs a gradient adds as many in the backward pass.

    >>> register_cost("mylib::scores", lambda op: 0)
    """
    FORMULAS[name] = lambda op: [Product(formula(op), tuple(specs_in(op.args)))]
