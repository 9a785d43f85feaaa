#include "libps/base/result.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <string>

namespace ringps {
namespace {

TEST_CASE("a result is a value or an error") {
  const Result<int> good = 7;
  CHECK(good.ok());
  CHECK(*good == 7);
  const Result<int> bad = Error{"no number"};
  CHECK_FALSE(bad);
  CHECK(bad.error() == "no number");
}

TEST_CASE("a value can be moved out of a result") {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  const std::unique_ptr<int> moved = std::move(result).value();
  CHECK(*moved == 7);
}

TEST_CASE("a result of text tells a value from an error") {
  CHECK(Result<std::string>(std::string("text")).ok());
  CHECK_FALSE(Result<std::string>(Error{"text"}).ok());
}

TEST_CASE("a result without a value is good unless it has an error") {
  CHECK(Result<void>().ok());
  const Result<void> bad = Error{"broken"};
  CHECK_FALSE(bad);
  CHECK(bad.error() == "broken");
}

}  // namespace
}  // namespace ringps
