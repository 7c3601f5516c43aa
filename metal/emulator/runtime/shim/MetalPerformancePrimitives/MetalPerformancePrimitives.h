// What coil's kernels use of Metal Performance Primitives: a product of two matrices into a tensor that the threads of a
// threadgroup hold between them. Apple leaves open who holds what; here the elements are dealt out in an order that no
// kernel will guess, and each thread has a place that holds none.
#pragma once
#pragma clang system_header
#include <metal_tensor>

namespace mpp {
namespace tensor_ops {
template <class T> constexpr constant T dynamic_length_v = T(-1);

// Metal's descriptor is a class that serves as a template argument, which needs C++20. Here it is a number: the name is
// that of the class where mode is looked up in it, and of the function where it is called.
struct matmul2d_descriptor {
  enum class mode { multiply, multiply_accumulate };
};
constexpr ulong matmul2d_descriptor(int m, int n, int k = -1, bool transpose_left = false, bool transpose_right = false,
                                    bool relaxed_precision = false, enum matmul2d_descriptor::mode mode = matmul2d_descriptor::mode::multiply) {
  return (ulong)m | (ulong)n << 16 | (ulong)(k < 0 ? 0 : k) << 32 | (ulong)transpose_left << 48 | (ulong)transpose_right << 49 |
         (ulong)relaxed_precision << 50 | (ulong)(mode == matmul2d_descriptor::mode::multiply_accumulate) << 51;
}

template <class E, int M, int N, int Threads> class _destination {
  static constexpr constant int _capacity = M * N / Threads + 1;
  E _v[_capacity];
  uint _t;

public:
  _MSL_INL_MEMBER _destination() thread : _t(msl_thread()) {}
  _MSL_INL_MEMBER ushort get_capacity() const thread { return _capacity; }
  _MSL_INL_MEMBER bool is_valid_element(ushort i) const thread { return i != _t % _capacity; }
  _MSL_INL_MEMBER thread E& operator[](ushort i) thread { return _v[i]; }
  // Column and row.
  _MSL_INL_MEMBER metal::array<int, 2> get_multidimensional_index(ushort i) const thread {
    const uint place = i < _t % _capacity ? i : i - 1, e = ((_t + place * Threads) * 37 + 5) % (M * N);
    return metal::array<int, 2>{(int)(e % N), (int)(e / N)};
  }
};

template <ulong D, class Scope> class matmul2d {
  static constexpr constant int _m = D & 0xffff, _n = D >> 16 & 0xffff, _threads = 32 * Scope::_n;
  static constexpr constant bool _tl = D >> 48 & 1, _tr = D >> 49 & 1, _add = D >> 51 & 1;
  static_assert((D >> 32 & 0xffff) == 0, "the emulator has products of dynamic_length_v only");
  static_assert(_m % 16 == 0 && _n % 16 == 0, "matmul2d: rows and columns of a tile are multiples of 16");

public:
  template <class Left, class Right, class E> _MSL_INL_MEMBER _destination<E, _m, _n, _threads> get_destination_cooperative_tensor() const thread {
    static_assert(sizeof(typename Left::_element) == sizeof(typename Right::_element), "matmul2d: both operands have the same type");
    return _destination<E, _m, _n, _threads>();
  }
  template <class Left, class Right, class E>
  _MSL_INL_MEMBER void run(thread Left& l, thread Right& r, thread _destination<E, _m, _n, _threads>& d, _MSL_SITE) const thread {
    msl_tensor_scope(Scope::_n, _site);
    const int k = _tl ? l._extent[1] : l._extent[0];
    for (ushort i = 0; i < d.get_capacity(); i++) {
      if (!d.is_valid_element(i)) continue;
      const metal::array<int, 2> at = d.get_multidimensional_index(i);
      float s = _add ? (float)d[i] : 0.0f;
      for (int j = 0; j < k; j++)
        s = __builtin_fmaf(_tl ? l._at(at[1], j) : l._at(j, at[1]), _tr ? r._at(j, at[0]) : r._at(at[0], j), s);
      d[i] = (E)s;
    }
    msl_tensor_scope(Scope::_n, _site);
  }
};
} // namespace tensor_ops
} // namespace mpp
