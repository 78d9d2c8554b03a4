"""Asking the processor for a row before it is needed.

Item rows of a large catalogue do not fit the cache and are met in random order. Drawing a few
triples ahead and asking for their rows hides most of that latency.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_LINE_BYTES = 64
_WRITE, _KEEP, _DATA = 1, 3, 1


def _prefetch_row(_typing: Any, array: Any, row: Any) -> Any:
    """Prefetch row `row` (int64) of a two-dimensional C-contiguous array, for writing."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        struct = context.make_array(signature.args[0])(context, builder, arguments[0])
        row_bytes = cgutils.unpack_tuple(builder, struct.strides)[0]
        i64, i32 = ir.IntType(64), ir.IntType(32)
        pointer = ir.IntType(8).as_pointer()
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [pointer, i32, i32, i32]),
            "llvm.prefetch.p0",
        )
        start = builder.add(
            builder.ptrtoint(struct.data, i64), builder.mul(arguments[1], row_bytes)
        )
        with cgutils.for_range_slice(
            builder, ir.Constant(i64, 0), row_bytes, ir.Constant(i64, _LINE_BYTES), intp=i64
        ) as (offset, _):
            address = builder.inttoptr(builder.add(start, offset), pointer)
            hints = [ir.Constant(i32, hint) for hint in (_WRITE, _KEEP, _DATA)]
            builder.call(function, [address, *hints])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


prefetch_row: Any = intrinsic(_prefetch_row)
