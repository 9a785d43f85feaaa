#include "services/coordinator/coordinator_service.hpp"

#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
  using namespace ringps;
  CoordinatorService::Options options;
  options.role.id = "coordinator";
  CLI::App app(
      "The coordinator of a ringps cluster: members, views, checkpoints.\n"
      "Example: ps-coordinator --config run.yaml --bind tcp://0.0.0.0:7070 --advertise 10.0.0.1 --run-dir run");
  options.role.add_to(app);
  options.role.add_bind_options(app);
  app.add_option("--resume", options.resume, "folder of a checkpoint, or of a run, to start from");
  app.add_option("--ready-fd", options.ready_fd, "file descriptor that is told the endpoints, as one line of JSON");
  if (const auto code = parse(app, argc, argv)) {
    return *code;
  }
  const auto job = prepare(options.role);
  if (!job) {
    return report_error(job.error(), exit_usage);
  }
  CoordinatorService service(*job, options);
  if (const auto opened = service.open(); !opened) {
    return report_error(opened.error(), exit_usage);
  }
  return service.run();
}
