#include "services/psctl/target.hpp"

#include <spdlog/fmt/fmt.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "libps/config/load.hpp"
#include "libps/storage/file.hpp"
#include "services/psctl/ask.hpp"
#include "services/psctl/commands.hpp"

namespace ringps {

void Target::add_to(CLI::App& command) {
  auto* run_dir_option = command.add_option("--run-dir", run_dir, "folder of the run");
  auto* config_option = command.add_option("--config", config, "configuration of the run");
  auto* endpoint_option = command.add_option("--coordinator,--endpoint", endpoint, "endpoint of its coordinator");
  run_dir_option->excludes(config_option)->excludes(endpoint_option);
  config_option->needs(endpoint_option);
  endpoint_option->needs(config_option);
}

Result<FoundCluster> find(const Target& target) {
  if (target.run_dir.empty() && target.config.empty()) {
    return Error{"which cluster? Expected --run-dir DIR, or --config FILE and --coordinator ENDPOINT"};
  }
  const std::filesystem::path run_dir = target.run_dir;
  const auto config =
      load_config(target.run_dir.empty() ? std::filesystem::path(target.config) : run_dir / "config.yaml");
  if (!config) {
    return config.failure();
  }
  FoundCluster found{target.endpoint, *config};
  if (!target.run_dir.empty()) {
    constexpr std::uint64_t bytes_max = 65536;
    const auto text = read_text(run_dir / "coordinator.json", bytes_max);
    if (!text) {
      return text.failure();
    }
    const auto json = nlohmann::json::parse(*text, nullptr, false);
    if (!json.is_object() || !json.contains("control") || !json["control"].is_string()) {
      return Error{(run_dir / "coordinator.json").string() + ": does not say where the coordinator is"};
    }
    found.endpoint = json["control"].get<std::string>();
  }
  return found;
}

int request(const Target& target, const Body& body, const std::string& done) {
  const auto found = find(target);
  if (!found) {
    return complain(found.error(), exit_usage);
  }
  const auto answer = ask(found->endpoint, found->config.name, body, answer_patience);
  if (!answer) {
    return complain(answer.error(), exit_unreachable);
  }
  if (const auto* refused = std::get_if<Refused>(&answer->body)) {
    return complain("the coordinator refuses: " + refused->text, exit_usage);
  }
  if (!done.empty()) {
    fmt::print("{}\n", done);
  }
  return exit_done;
}

Result<Status> ask_status(const FoundCluster& found) {
  auto answer = ask(found.endpoint, found.config.name, GetStatus{}, answer_patience);
  if (!answer) {
    return answer.failure();
  }
  if (auto* status = std::get_if<Status>(&answer->body)) {
    return std::move(*status);
  }
  const auto* refused = std::get_if<Refused>(&answer->body);
  return Error{fmt::format("the coordinator at {} {}", found.endpoint,
                           refused != nullptr ? "refuses: " + refused->text : "answers, but not with a status")};
}

}  // namespace ringps
