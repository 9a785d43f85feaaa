#include "libps/optim/kernels.inc"

namespace ringps::kernels {

#ifdef RINGPS_AVX512_KERNELS
const Table& avx512_table();  // kernels_avx512.cpp
#endif

const Table& baseline() {
  return table;
}

const Table* avx512() {
#ifdef RINGPS_AVX512_KERNELS
  static const bool usable = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                             __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
                             __builtin_cpu_supports("avx512cd") != 0;
  return usable ? &avx512_table() : nullptr;
#else
  return nullptr;
#endif
}

const Table& best() {
  static const Table& chosen = avx512() != nullptr ? *avx512() : baseline();
  return chosen;
}

}  // namespace ringps::kernels
