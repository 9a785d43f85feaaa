#include "services/psctl/orders.hpp"

#include <catch2/catch.hpp>

#include "libps/config/load.hpp"

namespace ringps {
namespace {

LauncherOrder order(std::uint64_t number) {
  return {number, Role::server, 1, ""};
}

std::vector<std::uint64_t> numbers_of(const std::vector<LauncherOrder>& orders) {
  std::vector<std::uint64_t> numbers;
  for (const LauncherOrder& each : orders) {
    numbers.push_back(each.number);
  }
  return numbers;
}

TEST_CASE("an order is taken once, however often the coordinator shows it, and in order of the numbers") {
  OrderBook book;
  CHECK(book.done() == 0);
  CHECK(numbers_of(book.take_new({order(2), order(1)})) == std::vector<std::uint64_t>{1, 2});
  CHECK(book.done() == 2);
  CHECK(book.take_new({order(1), order(2)}).empty());
  CHECK(numbers_of(book.take_new({order(2), order(3)})) == std::vector<std::uint64_t>{3});
  CHECK(book.take_new({}).empty());
  CHECK(book.done() == 3);
}

TEST_CASE("a process that is added gets the next number that nobody of its role has had") {
  NameSource names(*load_config_text("cluster: {servers: 3, workers: 2}", "test"));
  CHECK(names.next(Role::server) == "server3");
  CHECK(names.next(Role::server) == "server4");
  CHECK(names.next(Role::worker) == "worker2");
  names.seen(Role::server, "server8");
  names.seen(Role::server, "server1");
  names.seen(Role::server, "worker30");
  CHECK(names.next(Role::server) == "server9");
  CHECK(names.next(Role::worker) == "worker3");
}

TEST_CASE("the number of a name is all that stands behind the role") {
  CHECK(number_of(Role::server, "server12") == 12);
  CHECK(number_of(Role::worker, "worker0") == 0);
  CHECK(!number_of(Role::worker, "server12"));
  CHECK(!number_of(Role::server, "server"));
  CHECK(!number_of(Role::server, "server1a"));
}

}  // namespace
}  // namespace ringps
