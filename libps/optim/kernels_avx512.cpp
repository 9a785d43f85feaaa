// The kernels for processors with AVX-512. The build compiles this file, and no other, with -march=x86-64-v4.
#include "libps/optim/kernels.inc"

namespace ringps::kernels {

const Table& avx512_table();

const Table& avx512_table() {
  return table;
}

}  // namespace ringps::kernels
