#include "services/common/job.hpp"
#include "services/worker/trainer.hpp"

int main(int argc, char** argv) {
  using namespace ringps;
  RoleOptions options;
  CLI::App app(
      "A worker of a ringps cluster: computes gradients; holds nothing that cannot be rebuilt.\n"
      "Example: ps-worker --config run.yaml --id worker0 --coordinator tcp://10.0.0.1:7070");
  options.add_to(app);
  options.add_member_options(app);
  if (const auto code = parse(app, argc, argv)) {
    return *code;
  }
  const auto job = prepare(options);
  if (!job) {
    return report_error(job.error(), exit_usage);
  }
  const auto dataset = load_dataset(job->config);
  if (!dataset) {
    return report_error(dataset.error(), exit_usage);
  }
  return train(*job, *dataset, options);
}
