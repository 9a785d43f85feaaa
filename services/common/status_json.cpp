#include "services/common/status_json.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace ringps {
namespace {

using nlohmann::ordered_json;

constexpr std::array<std::string_view, 4> role_names = {"coordinator", "server", "worker", "control"};
constexpr std::array<std::string_view, 6> state_names = {"forming",     "running", "completed",
                                                         "interrupted", "failed",  "data lost"};

template <class Enum, std::size_t count>
Enum by_name(const std::array<std::string_view, count>& names, const nlohmann::json& name) {
  const auto found = std::find(names.begin(), names.end(), name.get<std::string>());
  if (found == names.end()) {
    throw nlohmann::json::other_error::create(501, "unknown name '" + name.get<std::string>() + "'", &name);
  }
  return static_cast<Enum>(found - names.begin());
}

ordered_json process_json(const ProcessStatus& process) {
  return {{"role", name_of(process.role)},
          {"id", process.id},
          {"incarnation", process.incarnation.value},
          {"endpoint", process.endpoint},
          {"pid", process.pid},
          {"member", process.member},
          {"iteration", process.iteration.value},
          {"silent_seconds", process.silent_seconds},
          {"waiting_for", process.waiting_for}};
}

ordered_json failure_json(const FailureStatus& failure) {
  return {{"role", name_of(failure.role)},
          {"id", failure.id},
          {"incarnation", failure.incarnation.value},
          {"how", failure.how},
          {"iteration", failure.iteration.value},
          {"iterations_replayed", failure.iterations_replayed},
          {"last_heard_age", failure.last_heard_age},
          {"removed_age", failure.removed_age},
          {"recovered_age", failure.recovered_age}};
}

ordered_json servers_json(const View& view) {
  auto servers = ordered_json::array();
  for (const ServerMember& server : view.servers) {
    servers.push_back({{"id", server.id.value},
                       {"incarnation", server.incarnation.value},
                       {"endpoint", server.endpoint},
                       {"stays", server.stays}});
  }
  return servers;
}

ordered_json workers_json(const View& view) {
  auto workers = ordered_json::array();
  for (const WorkerMember& worker : view.workers) {
    workers.push_back({{"id", worker.id.value},
                       {"incarnation", worker.incarnation.value},
                       {"slices", view.slices_of(worker.id.value).size()}});
  }
  return workers;
}

ordered_json orders_json(const std::vector<LauncherOrder>& orders) {
  auto list = ordered_json::array();
  for (const LauncherOrder& order : orders) {
    list.push_back(order.count == 0
                       ? ordered_json{{"number", order.number}, {"kill", order.id}}
                       : ordered_json{{"number", order.number}, {"add", name_of(order.role)}, {"count", order.count}});
  }
  return list;
}

FailureStatus parse_failure(const nlohmann::json& json) {
  FailureStatus failure;
  failure.role = by_name<Role>(role_names, json.at("role"));
  failure.id = json.at("id");
  failure.incarnation = Incarnation{json.at("incarnation")};
  failure.how = json.at("how");
  failure.iteration = Iteration{json.at("iteration")};
  failure.iterations_replayed = json.at("iterations_replayed");
  failure.last_heard_age = json.at("last_heard_age");
  failure.removed_age = json.at("removed_age");
  failure.recovered_age = json.at("recovered_age");
  return failure;
}

}  // namespace

std::string_view name_of(Role role) {
  return role_names[static_cast<std::size_t>(role)];
}
std::string_view name_of(RunState state) {
  return state_names[static_cast<std::size_t>(state)];
}

ordered_json to_json(const Status& status) {
  auto processes = ordered_json::array();
  for (const ProcessStatus& process : status.processes) {
    processes.push_back(process_json(process));
  }
  auto failures = ordered_json::array();
  for (const FailureStatus& failure : status.failures) {
    failures.push_back(failure_json(failure));
  }
  return {{"state", name_of(status.state)},
          {"text", status.text},
          {"epoch", status.view.epoch.value},
          {"cause", status.view.cause},
          {"settled", status.view.settled()},
          {"servers", servers_json(status.view)},
          {"workers", workers_json(status.view)},
          {"retired", status.view.retired},
          {"waiting", status.waiting},
          {"iteration", status.iteration.value},
          {"iterations", status.iterations.value},
          {"committed_checkpoint", status.committed_checkpoint.value},
          {"refused_messages", status.refused_messages},
          {"accuracy", status.accuracy < 0 ? ordered_json() : ordered_json(status.accuracy)},
          {"loss", status.accuracy < 0 ? ordered_json() : ordered_json(status.loss)},
          {"processes", processes},
          {"orders", orders_json(status.orders)},
          {"failures", failures},
          {"staleness", status.staleness}};
}

Result<Status> parse_status(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    Status status;
    status.state = by_name<RunState>(state_names, json.at("state"));
    status.text = json.at("text");
    status.iteration = Iteration{json.at("iteration")};
    status.iterations = Iteration{json.at("iterations")};
    status.committed_checkpoint = Iteration{json.at("committed_checkpoint")};
    status.view.epoch = Epoch{json.at("epoch")};
    status.view.cause = json.at("cause");
    for (const auto& failure : json.at("failures")) {
      status.failures.push_back(parse_failure(failure));
    }
    return status;
  } catch (const nlohmann::json::exception& error) {
    return Error{std::string("not the status of a run: ") + error.what()};
  }
}

}  // namespace ringps
