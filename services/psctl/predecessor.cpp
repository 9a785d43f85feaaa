#include "services/psctl/predecessor.hpp"

#include <spdlog/fmt/fmt.h>

#include <map>
#include <string_view>

namespace ringps {

const char* const predecessor_config = R"(
name: predecessor
seed: 1
model: {kind: logistic_regression, initial: uniform}
data: {kind: mnist}
cluster: {servers: 1, workers: 1, worker_scope: server, virtual_nodes: 100, block_elements: 1}
train:
  iterations: 500
  batch: 128
  optimizer: {kind: sgd, learning_rate: 0.1}
  refresh_interval: 1
evaluate: {interval: 5, samples: 1152}
checkpoint: {interval: 1}
)";

bool PredecessorFlags::any() const {
  return num_servers || num_workers || num_iterations || checkpoint || do_failure_test || server_to_fail ||
         iteration_to_fail || eval_interval;
}

Overrides overrides_of(const PredecessorFlags& flags) {
  Overrides overrides;
  const auto set = [&](const char* key, const auto& value) {
    if (value) {
      overrides.push_back(fmt::format("{}={}", key, *value));
    }
  };
  set("cluster.servers", flags.num_servers);
  set("cluster.workers", flags.num_workers);
  set("train.iterations", flags.num_iterations);
  set("checkpoint.interval", flags.checkpoint);
  set("train.refresh_interval", flags.checkpoint);
  set("evaluate.interval", flags.eval_interval);
  if (flags.do_failure_test.value_or(false)) {
    // Its checkpoint is taken in the step of the iteration itself: a failure finds the newest one there.
    overrides.emplace_back("checkpoint.wait=true");
    overrides.push_back(fmt::format("faults=[{{at_iteration: {}, kill: {}}}]", flags.iteration_to_fail.value_or(60),
                                    flags.server_to_fail.value_or("server4")));
  }
  return overrides;
}

std::vector<std::string> spell_out_predecessor_flags(std::vector<std::string> arguments) {
  static const std::map<std::string_view, std::string_view> long_names = {{"-ns", "--num-servers"},
                                                                          {"-nw", "--num-workers"},
                                                                          {"-fs", "--server-to-fail"},
                                                                          {"-f_iter", "--iteration-to-fail"},
                                                                          {"-ev_int", "--eval-interval"}};
  for (std::string& argument : arguments) {
    const std::size_t end = std::min(argument.find('='), argument.size());
    if (const auto found = long_names.find(std::string_view(argument).substr(0, end)); found != long_names.end()) {
      argument.replace(0, end, found->second);
    }
  }
  return arguments;
}

}  // namespace ringps
