#include "libps/optim/kernels.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <vector>

#include "tests/unit/optim/bits.hpp"

namespace ringps::kernels {
namespace {

using Run = std::function<void(const Table&, const std::vector<float>& block, const std::byte* gradient, Step step)>;

/// A step of `stride` elements by the kernel that `run` picks, from both tables, with the same bits.
void check_same(const Run& run) {
  const Table* const wide = avx512();
  if (wide == nullptr) {
    WARN("skipped: this processor, or this build, has no AVX-512");
    return;
  }
  CHECK(rc::check([&] {
    const auto count = *rc::gen::inRange<std::size_t>(0, 200);
    std::vector<float> block = random_floats(3 * count);
    for (std::size_t i = count; i < block.size(); ++i) {
      block[i] = std::abs(block[i]);  // state is a sum of squares in some of them
    }
    const std::vector<float> gradient = random_floats(count);
    const ShiftedCopy bytes(gradient, *rc::gen::inRange<std::size_t>(0, 8));
    std::vector<float> plain(3 * count);
    std::vector<float> vectorised(3 * count);
    const auto step_to = [&](std::vector<float>& next) {
      return Step{count, gradient.data(), block.data(), next.data(), count, count, 0.05F, 0.01F};
    };
    run(baseline(), block, bytes.data(), step_to(plain));
    run(*wide, block, bytes.data(), step_to(vectorised));
    RC_ASSERT(same_bits(plain, vectorised));
  }));
}

TEST_CASE("the kernels of every instruction set give the same bits") {
  const Adam adam{0.9F, 0.999F, 1e-8F, 1.7F, 3.1F};
  const Ftrl ftrl{0.01F, 0.5F, 1.0F};
  const std::vector<std::pair<std::string, Run>> runs{
      {"copy_scaled", [](auto& t, auto&, auto* g, Step s) { t.copy_scaled(g, s.count, 0.3F, s.next); }},
      {"add",
       [](auto& t, auto& block, auto* g, Step s) {
         std::copy_n(block.begin(), s.count, s.next);
         t.add(g, s.count, s.next);
       }},
      {"add_two",
       [](auto& t, auto& block, auto* g, Step s) {
         std::copy_n(block.begin(), s.count, s.next);
         t.add_two(g, reinterpret_cast<const std::byte*>(block.data()), s.count, s.next);
       }},
      {"scale",
       [](auto& t, auto& block, auto*, Step s) {
         std::copy_n(block.begin(), s.count, s.next);
         t.scale(s.count, 0.7F, s.next);
       }},
      {"sgd", [](auto& t, auto&, auto*, Step s) { t.sgd(s); }},
      {"momentum", [](auto& t, auto&, auto*, Step s) { t.momentum(s, 0.9F); }},
      {"nesterov", [](auto& t, auto&, auto*, Step s) { t.nesterov(s, 0.9F); }},
      {"adagrad", [](auto& t, auto&, auto*, Step s) { t.adagrad(s, 1e-8F); }},
      {"rmsprop", [](auto& t, auto&, auto*, Step s) { t.rmsprop(s, 0.99F, 1e-8F); }},
      {"adam", [&](auto& t, auto&, auto*, Step s) { t.adam(s, adam); }},
      {"adamw", [&](auto& t, auto&, auto*, Step s) { t.adamw(s, adam); }},
      {"ftrl", [&](auto& t, auto&, auto*, Step s) { t.ftrl(s, ftrl); }},
  };
  for (const auto& [name, run] : runs) {
    DYNAMIC_SECTION(name) {
      check_same(run);
    }
  }
}

TEST_CASE("the kernels of every instruction set find the same values that are not finite") {
  const Table* const wide = avx512();
  if (wide == nullptr) {
    WARN("skipped: this processor, or this build, has no AVX-512");
    return;
  }
  for (std::size_t bad = 0; bad <= 70; ++bad) {
    std::vector<float> values(70, 1.0F);
    if (bad < values.size()) {
      values[bad] = bad % 2 == 0 ? NAN : -INFINITY;
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
    CHECK(baseline().any_not_finite(bytes, values.size()) == (bad < values.size()));
    CHECK(wide->any_not_finite(bytes, values.size()) == (bad < values.size()));
  }
}

}  // namespace
}  // namespace ringps::kernels
