// A coordinator, and the members that the test plays.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <optional>

#include "libps/core/coordinator.hpp"
#include "tests/unit/core/support.hpp"

namespace ringps {

class CoordinatorTest {
 public:
  explicit CoordinatorTest(JobSpec spec = small_job(), Coordinator::Start start = {},
                           const std::optional<Coordinator::Recovered>& recovered = std::nullopt)
      : job(std::move(spec)), coordinator(job, Incarnation{100}, digest, "tcp://broadcast", std::move(start)) {
    coordinator.on_start(now, recovered);
  }

  /// Members' incarnations, 1 unless the test says otherwise.
  std::map<std::string, std::uint64_t> lives;

  void say(const std::string& id, Body body, std::uint64_t request = 1) {
    effects.clear();
    say_also(id, std::move(body), request);
  }
  void say_also(const std::string& id, Body body, std::uint64_t request = 1) {
    const Role role = id.starts_with("server") ? Role::server : id == "psctl" ? Role::control : Role::worker;
    coordinator.on_message(now, route_of(id),
                           {{"test", role, id, Incarnation{life_of(id)}, coordinator.view().epoch, RequestId{request}},
                            std::move(body),
                            {}},
                           effects);
  }
  std::uint64_t life_of(const std::string& id) const { return lives.contains(id) ? lives.at(id) : 1; }
  Route route_of(const std::string& id) const { return "route of " + id + "/" + std::to_string(life_of(id)); }

  void join(const std::string& id) { say(id, Join{"tcp://" + id, digest, 1}); }
  void form() {
    for (std::uint32_t s = 0; s < job.servers; ++s) {
      join("server" + std::to_string(s));
    }
    for (std::uint32_t w = 0; w < job.workers; ++w) {
      join("worker" + std::to_string(w));
    }
  }
  /// Of the current lineage.
  Heartbeat beat(std::uint64_t iteration, std::uint64_t turn = 1) const {
    return {turn, Iteration{iteration}, coordinator.view().restore.epoch, "", 0};
  }
  /// Time goes by in small steps; everybody in `alive` sends heartbeats. Effects of the whole time are kept.
  void wait(Duration time, const std::vector<std::string>& alive, std::uint64_t iteration = 0) {
    effects.clear();
    const Time end = now + time;
    for (std::uint64_t turn = 1; now < end; ++turn) {
      now += milliseconds(10);
      for (const std::string& id : alive) {
        say_also(id, beat(iteration, turn));
      }
      coordinator.on_tick(now, effects);
    }
  }
  void written(const std::string& server, std::uint64_t iteration, std::uint64_t request = 1) {
    const View& view = coordinator.view();
    const BlockTable table(job.tensors, job.block_elements);
    const Placement placement(view, table, job.virtual_nodes, job.replicas);
    const auto runs = table.runs(placement.owned(*view.server_index(server)));
    say(server,
        BlocksWritten{
            Iteration{iteration}, view.restore.epoch, view.owned_since, {{server + ".values", false, 1, digest, runs}}},
        request);
  }
  void committed(std::uint64_t iteration) {
    effects.clear();
    coordinator.on_checkpoint_committed(now, Iteration{iteration}, coordinator.view().restore.epoch,
                                        "folder " + std::to_string(iteration), effects);
  }

  /// Bodies of type T that were sent to `id`, or published where `id` is empty.
  template <class T>
  std::vector<T> told(const std::string& id = "") {
    std::vector<T> found;
    for (const auto& effect : effects) {
      const Message* message = nullptr;
      if (const auto* send = std::get_if<Coordinator::Send>(&effect); send != nullptr && send->to == route_of(id)) {
        message = &send->message;
      } else if (const auto* publish = std::get_if<Coordinator::Publish>(&effect); publish != nullptr && id.empty()) {
        message = &publish->message;
      }
      if (message != nullptr && std::holds_alternative<T>(message->body)) {
        found.push_back(std::get<T>(message->body));
      }
    }
    return found;
  }
  template <class T>
  std::vector<T> effects_of() const {
    return all<T>(effects);
  }
  bool has_server(const std::string& id) const { return coordinator.view().server_index(id).has_value(); }
  bool has_worker(const std::string& id) const { return coordinator.view().worker_index(id).has_value(); }
  Epoch epoch() const { return coordinator.view().epoch; }

  const JobSpec job;
  Time now = start_time;
  Coordinator coordinator;
  Coordinator::Effects effects;
};

inline JobSpec two_servers() {
  JobSpec job = small_job();
  job.servers = 2;
  job.virtual_nodes = 100;
  job.tensors = {{"a", {20}, {}}};
  job.checkpoint = {.interval = 5};
  return job;
}

}  // namespace ringps
