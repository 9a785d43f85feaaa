#include "services/server/server.hpp"

#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
  using namespace ringps;
  RoleOptions options;
  CLI::App app(
      "A shard server of a ringps cluster: holds blocks of the model and steps the optimizer.\n"
      "Example: ps-server --config run.yaml --id server0 --coordinator tcp://10.0.0.1:7070 "
      "--bind tcp://0.0.0.0:0 --advertise 10.0.0.2");
  options.add_to(app);
  options.add_member_options(app);
  options.add_bind_options(app);
  if (const auto code = parse(app, argc, argv)) {
    return *code;
  }
  const auto job = prepare(options);
  if (!job) {
    return report_error(job.error(), exit_usage);
  }
  Server server(*job, options);
  if (const auto bound = server.bind(); !bound) {
    return report_error(bound.error(), exit_usage);
  }
  return server.run();
}
