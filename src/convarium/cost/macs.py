"""What an operator call costs in multiply-adds, or that nobody knows.

MACs are those of convolutions, linear layers and matrix products. Bias, normalisation, activation,
pooling, resize and element-wise work count 0. An operator that is in neither list is unknown: the
total is then a lower bound and names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from convarium.cost.products import FORMULAS, Product
from convarium.trace import Op, TraceRow

_COPIES = """
    cat stack copy contiguous _to_copy constant_pad_nd reflection_pad1d reflection_pad2d
    replication_pad2d replication_pad3d index index_select index_add index_put _unsafe_index gather
    scatter scatter_add repeat repeat_interleave flip roll tril triu slice_scatter select_scatter
    masked_select nonzero sort topk embedding _embedding_bag one_hot pixel_shuffle pixel_unshuffle
    channel_shuffle native_channel_shuffle im2col col2im _reshape_copy _nested_view_from_buffer
    arange linspace eye fill zero full full_like empty_like new_empty new_empty_strided new_zeros
    new_ones new_full zeros zeros_like ones ones_like scalar_tensor _local_scalar_dense
    meshgrid unfold_backward bucketize searchsorted set set_ resize resize_ resize_as
    _fused_sdp_choice _stack _chunk_cat _to_dense _pin_memory _lazy_clone lift block_diag diag_embed
    as_strided_scatter diagonal_scatter index_fill index_reduce masked_scatter nonzero_static put
    take rot90 scatter_reduce segment_reduce _index_put_impl _unsafe_index_put _unsafe_masked_index
    _unsafe_masked_index_put_accumulate _pack_padded_sequence to_padded_tensor empty_permuted range
    logspace tril_indices triu_indices replication_pad1d reflection_pad3d _unique _unique2
    unique_dim unique_consecutive unique_dim_consecutive embedding_renorm
    _embedding_bag_forward_only bartlett_window blackman_window hamming_window hann_window
    kaiser_window _resize_output record_stream index_copy shallow_copy_data lift_fresh_copy
    alias_copy detach_copy expand_copy permute_copy select_copy slice_copy split_copy t_copy
    transpose_copy unbind_copy unsqueeze_copy squeeze_copy view_copy as_strided_copy unfold_copy
    diagonal_copy _reshape_alias_copy split_with_sizes_copy narrow_copy view_as_real_copy
    view_as_complex_copy to_mkldnn mkldnn_reorder_conv2d_weight mkldnn_reorder_conv3d_weight
    _to_sparse _to_sparse_csr _to_sparse_csc _to_sparse_bsr _to_sparse_bsc _coalesce sparse_mask
    _sparse_coo_tensor_with_dims_and_tensors copy_sparse_to_sparse
    _convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo sparse_resize
    sparse_resize_and_clear _nnz _coalesced is_coalesced sparse_dim dense_dim _indices _values
    _efficientzerotensor _new_zeros_with_same_feature_meta _make_dual_copy is_same_size
    _has_same_storage_numel is_set_to is_pinned _validate_sparse_coo_tensor_args
    _validate_compressed_sparse_indices
    """
_NORMALISATIONS = """
    native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_functional
    _native_batch_norm_legit_no_training cudnn_batch_norm native_layer_norm native_group_norm
    _batch_norm_with_update _batch_norm_no_update _fused_rms_norm linalg_vector_norm
    _softmax _log_softmax _safe_softmax var_mean std_mean cumsum logcumsumexp cumprod
    _weight_norm_interface norm _cdist_forward median mode kthvalue aminmax max min argmax argmin
    nll_loss_forward nll_loss2d_forward mse_loss binary_cross_entropy smooth_l1_loss huber_loss
    binary_cross_entropy_with_logits soft_margin_loss multi_margin_loss _ctc_loss
    multilabel_margin_loss_forward multilabel_margin_loss _batch_norm_with_update_functional
    batch_norm_elemt batch_norm_stats batch_norm_update_stats batch_norm_gather_stats
    batch_norm_gather_stats_with_counts renorm softmax log_softmax _masked_softmax native_norm dist
    _logcumsumexp cummax cummin _cummax_helper _cummin_helper _aminmax nanmedian prod trace
    count_nonzero _pdist_forward _sparse_softmax _sparse_log_softmax _sparse_sum _sparse_csr_sum
    """
_POOLS = """
    max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d
    _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d
    max_unpool2d fractional_max_pool2d upsample_nearest1d upsample_nearest2d upsample_nearest3d
    _upsample_nearest_exact2d upsample_linear1d upsample_bilinear2d upsample_bicubic2d
    upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa
    grid_sampler_2d grid_sampler_3d affine_grid_generator
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d fractional_max_pool3d max_unpool3d
    _upsample_nearest_exact1d _upsample_nearest_exact3d _upsample_lanczos2d_aa
    _grid_sampler_2d_cpu_fallback
    torchvision::roi_align torchvision::roi_pool torchvision::ps_roi_align torchvision::ps_roi_pool
    torchvision::nms mkldnn_max_pool2d mkldnn_max_pool3d mkldnn_adaptive_avg_pool2d
    quantized_max_pool1d quantized_max_pool2d quantized_max_pool3d
    """
_ELEMENTWISE = """
    hardswish floor_divide bincount histc histogram isin allclose complex polar linalg_cross
    _conj_physical _add_relu _prelu_kernel rrelu_with_noise rrelu_with_noise_functional
    log_sigmoid_forward celu elu mish softplus softshrink hardshrink hardsigmoid hardtanh threshold
    relu gelu leaky_relu _masked_scale masked_fill where heaviside copysign xlogy isnan isinf abs
    gcd lcm glu_jvp _functional_assert_scalar _functional_sym_constrain_range
    _functional_sym_constrain_range_for_size _histogramdd_bin_edges _histogramdd_from_bin_cts
    _histogramdd_from_bin_tensors
    add sub rsub mul div remainder eq ne lt le gt ge bitwise_and bitwise_or bitwise_xor
    bitwise_left_shift bitwise_right_shift clone sum promote_types _transform_bias_rescale_qkv
    _assert_async _assert_scalar _assert_tensor_metadata _functional_assert_async _print
    _linalg_check_errors _is_all_true _is_any_true
    fake_quantize_per_tensor_affine_cachemask fake_quantize_per_channel_affine_cachemask
    _fake_quantize_per_tensor_affine_cachemask_tensor_qparams
    _fake_quantize_learnable_per_tensor_affine _fake_quantize_learnable_per_channel_affine
    _fused_moving_avg_obs_fq_helper _fused_moving_avg_obs_fq_helper_functional
    quantize_per_tensor quantize_per_tensor_dynamic quantize_per_channel dequantize int_repr
    """
_GATES = "_thnn_fused_lstm_cell _thnn_fused_gru_cell native_dropout _fused_dropout glu"
_RANDOM = """
    bernoulli rand randn rand_like randn_like randint randint_like randperm random uniform normal
    normal_functional log_normal multinomial exponential geometric cauchy poisson binomial
    _sample_dirichlet _standard_gamma
    """
_NO_MACS = set(f"{_COPIES} {_NORMALISATIONS} {_POOLS} {_ELEMENTWISE} {_GATES} {_RANDOM}".split())
# torch's element-wise work on lists of tensors; what processes send each other.
_FREE = ("_foreach_", "c10d::", "_c10d_functional::")


def count_products(op: Op) -> Iterable[Product] | None:
    """The products of one operator call; None when no formula knows the operator."""
    if op.name in FORMULAS:
        return FORMULAS[op.name](op)
    known = op.nature != "other" or op.name in _NO_MACS or op.name.startswith(_FREE)
    return () if known else None


def macs_of(row: TraceRow) -> int:
    """Multiply-adds of a row's forward pass; of operators without a formula none."""
    return sum(product.macs for op in row.ops for product in count_products(op) or ())


def register_cost(name: str, formula: Callable[[Op], int]) -> None:
    """Teaches the count an operator of yours, for this process.

    Args:
        name: of the operator, with its namespace: "mylib::attention".
        formula: takes the call (shapes only), gives the multiply-adds of its forward pass. Each
            tensor argument that needs a gradient adds as many in the backward pass.

    >>> register_cost("mylib::scores", lambda op: 0)
    """
    FORMULAS[name] = lambda op: [Product(formula(op), tuple(op.inputs))]
