#include "services/psctl/status_text.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "services/common/status_json.hpp"
#include "services/psctl/progress.hpp"

namespace ringps {
namespace {

/// server1 is handing on what it holds.
Status draining() {
  Status status;
  status.state = RunState::running;
  status.waiting = {"server1 hands 3 blocks to server0", "worker5: a view with room for it"};
  status.view.servers = {{{"server0"}, Incarnation{1}, "tcp://a:1", true},
                         {{"server1"}, Incarnation{2}, "tcp://a:2", false}};
  status.view.settled_ring = {{{"server0"}, Incarnation{1}}, {{"server1"}, Incarnation{2}}};
  status.view.workers = {{{"worker0"}, Incarnation{3}}};
  status.view.slice_worker = {0, 0};
  status.view.retired = {"server7"};
  status.processes = {{Role::server, "server0", Incarnation{1}, "tcp://a:1", 11, true, {}, 0, ""},
                      {Role::server, "server1", Incarnation{2}, "tcp://a:2", 12, true, {}, 0, ""},
                      {Role::worker, "worker5", Incarnation{3}, "", 13, false, {}, 0, "a view with room for it"}};
  status.orders = {{4, Role::worker, 2, ""}, {5, Role::server, 0, "server0"}};
  return status;
}

TEST_CASE("the status in words says what is waited for, who is leaving, and whether the view is settled") {
  const std::string text = to_text(draining());
  CHECK_THAT(text, Catch::Contains("(not settled)"));
  CHECK_THAT(text, Catch::Contains("waits: server1 hands 3 blocks to server0\n"));
  CHECK_THAT(text, Catch::Matches("[^]*server1 +12 +leaving[^]*"));
  CHECK_THAT(text, Catch::Matches("[^]*worker5 +13 +no .*waits: a view with room for it[^]*"));
  CHECK_THAT(text, !Catch::Contains("waits: worker5"));  // once is enough
}

TEST_CASE("the line of progress says what a run waits for that does not go on") {
  Status status = draining();
  CHECK_THAT(progress_text(status, 0), Catch::EndsWith("view 0 (2 servers, 1 worker)"));
  status.waiting = {"the run waits for workers: 0 of at least 1", "server1: version 5"};
  CHECK_THAT(progress_text(status, 0), Catch::EndsWith("; the run waits for workers: 0 of at least 1"));
}

TEST_CASE("the status as JSON has the view, what is waited for, and the orders that are not yet done") {
  const auto json = to_json(draining());
  CHECK(json["settled"] == false);
  CHECK(json["servers"][1]["id"] == "server1");
  CHECK(json["servers"][1]["stays"] == false);
  CHECK(json["workers"][0]["slices"] == 2);
  CHECK(json["retired"] == nlohmann::ordered_json({"server7"}));
  CHECK(json["waiting"][0] == "server1 hands 3 blocks to server0");
  CHECK(json["orders"].dump() == R"([{"number":4,"add":"worker","count":2},{"number":5,"kill":"server0"}])");
}

}  // namespace
}  // namespace ringps
