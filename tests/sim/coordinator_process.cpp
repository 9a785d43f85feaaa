#include "tests/sim/coordinator_process.hpp"

namespace ringps::sim {
namespace {

Coordinator::Start start_of(World& world) {
  const Iteration from = world.scenario().resume_from;
  return {from, from.value == 0 ? "" : "earlier run"};
}

}  // namespace

CoordinatorProcess::CoordinatorProcess(World& world, Host& host)
    : world_(world),
      host_(host),
      core_(world.job(), host.incarnation, job_digest, "sim://broadcast", start_of(world)) {}

std::optional<Coordinator::Recovered> CoordinatorProcess::recover() const {
  const Store& store = world_.store();
  if (store.views().empty()) {
    return std::nullopt;
  }
  Coordinator::Recovered recovered;
  recovered.view = store.views().back();
  if (const Manifest* newest = store.newest()) {
    recovered.committed = newest->iteration;
    recovered.committed_folder = newest->folder;
  }
  for (const Progress& progress : store.records()) {
    if (progress.restore_epoch != recovered.view.restore.epoch) {
      continue;
    }
    for (const IterationTiming& timing : progress.timings) {
      recovered.timings_through = std::max(recovered.timings_through, timing.iteration);
    }
    for (const EvaluationReport& evaluation : progress.evaluations) {
      recovered.evaluated.push_back(evaluation.iteration);
    }
  }
  return recovered;
}

void CoordinatorProcess::start() {
  const Time now = world_.local_time(host_);
  world_.witness(&Checker::before_coordinator_step, now, nullptr);
  core_.on_start(now, recover());
  world_.witness(&Checker::on_coordinator_started, core_);
}

void CoordinatorProcess::on_message(const Route& from, Message message) {
  const Time now = world_.local_time(host_);
  world_.witness(&Checker::before_coordinator_step, now, &message);
  Coordinator::Effects effects;
  core_.on_message(now, from, message, effects);
  carry_out(effects);
}

void CoordinatorProcess::on_tick() {
  const Time now = world_.local_time(host_);
  world_.witness(&Checker::before_coordinator_step, now, nullptr);
  Coordinator::Effects effects;
  core_.on_tick(now, effects);
  carry_out(effects);
}

std::string CoordinatorProcess::waiting_for() const {
  return "state " + std::to_string(static_cast<int>(core_.state())) + ", epoch " +
         std::to_string(core_.view().epoch.value) + ", committed " + std::to_string(core_.committed().value);
}

void CoordinatorProcess::carry_out(const Coordinator::Effects& effects) {
  for (const auto& effect : effects) {
    world_.before_effect(host_);
    std::visit([&](const auto& each) { carry_out(each); }, effect);
  }
}

void CoordinatorProcess::carry_out(const Coordinator::Send& send) {
  world_.witness(&Checker::on_sent, host_, send.message);
  if (send.to == psctl_route) {
    world_.witness(&Checker::on_psctl_told, send.message);
  }
  if (!world_.network().send_down(host_, send.to, send.message)) {
    core_.on_unreachable(world_.local_time(host_), send.to);
  }
}

void CoordinatorProcess::carry_out(const Coordinator::Publish& publish) {
  world_.witness(&Checker::on_sent, host_, publish.message);
  world_.network().broadcast(host_, publish.message);
}

void CoordinatorProcess::carry_out(const Coordinator::PersistView& persist) {
  world_.view_persisted(persist.view);
}

void CoordinatorProcess::carry_out(const Coordinator::CommitCheckpoint& commit) {
  const Duration time = world_.pace(host_, world_.dice().between(Duration{}, world_.scenario().disk_time));
  world_.after(host_, time, [this, commit] {
    world_.before_write(host_);
    const std::string folder = "iteration " + std::to_string(commit.iteration.value) + " of epoch " +
                               std::to_string(commit.restore_epoch.value);
    const Manifest& manifest = world_.store().commit({folder, commit.iteration, commit.restore_epoch, commit.files},
                                                     world_.job().checkpoint.keep, core_.view().restore.checkpoint);
    world_.witness(&Checker::on_committed, manifest);
    world_.before_effect(host_);  // the rename is done, and nobody knows
    Coordinator::Effects effects;
    core_.on_checkpoint_committed(world_.local_time(host_), commit.iteration, commit.restore_epoch, folder, effects);
    carry_out(effects);
  });
}

void CoordinatorProcess::carry_out(const Coordinator::Log& log) {
  if (world_.tells_story()) {
    world_.tell("coordinator: " + log.text);
  }
}

void CoordinatorProcess::carry_out(const Coordinator::Exit& exit) {
  world_.finish(exit.state, exit.text);
}

}  // namespace ringps::sim
