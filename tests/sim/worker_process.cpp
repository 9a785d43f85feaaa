#include "tests/sim/worker_process.hpp"

#include <set>

#include "tests/sim/server_process.hpp"

namespace ringps::sim {

WorkerProcess::WorkerProcess(World& world, Host& host)
    : MemberProcess(world, host, ""), client_(world.job(), {host.name}, host.incarnation) {}

void WorkerProcess::on_disconnected(const std::string& server, Incarnation incarnation) {
  send(Suspect{{server}, incarnation});
}

void WorkerProcess::on_view(const View& view) {
  ClientCore::Effects effects;
  client_.on_view(now(), view, effects);
  world_.witness(&Checker::on_adopted, host_, client_.view());
  carry_out(effects);
  report();
}

void WorkerProcess::on_data(const Route&, Message message) {
  ClientCore::Effects effects;
  const Epoch before = client_.view().epoch;
  client_.on_message(now(), message, effects);
  world_.witness(&Checker::after_client_message, host_, message, before, effects);
  world_.witness(&Checker::on_adopted, host_, client_.view());
  carry_out(effects);
}

void WorkerProcess::on_data_tick() {
  ClientCore::Effects effects;
  client_.on_tick(now(), effects);
  carry_out(effects);
  if (now() >= next_report_) {
    report();
  }
}

void WorkerProcess::carry_out(const ClientCore::Effects& effects) {
  for (const auto& effect : effects) {
    world_.before_effect(host_);
    std::visit([&](const auto& each) { carry_out(each); }, effect);
  }
  compute();
}

void WorkerProcess::carry_out(const ClientCore::Send& order) {
  const ServerMember& server = client_.view().servers[order.server];
  if (Host* to = world_.find([&](const Host& host) { return endpoint_of(host) == server.endpoint; })) {
    world_.witness(&Checker::on_pushed, host_, order.message);
    world_.network().send_up(host_, *to, to->life, order.message);
  }
}

void WorkerProcess::carry_out(const ClientCore::Reached& reached) {
  world_.witness(&Checker::on_reached, host_, reached.weights);
  const Iteration version = reached.weights.version;
  if (reached.weights.restore_epoch != lineage_) {
    lineage_ = reached.weights.restore_epoch;
    timings_.clear();
    evaluations_.clear();
  }
  timings_[version] = {version, 0.001, 0.001};
  const std::uint64_t interval = world_.job().evaluate_interval;
  if (interval != 0 && (version.value % interval == 0 || version == world_.job().iterations)) {
    evaluations_[version] = {version, 50.0, 1.0};
  }
  report();
}

void WorkerProcess::carry_out(const ClientCore::GiveUp& give_up) {
  tell(Failed{give_up.text});
}

void WorkerProcess::compute() {
  if (const auto choice = client_.next_choice()) {
    std::vector<std::vector<std::uint64_t>> ids;
    for (std::uint32_t t = 0; t < world_.job().tables.size(); ++t) {
      ids.push_back(rows_of(world_.job().seed, choice->iteration, choice->slice, t));
    }
    ClientCore::Effects effects;
    client_.choose(now(), *choice, std::move(ids), effects);
    carry_out(effects);  // and comes here again
    return;
  }
  const auto task = client_.next_task();
  if (computing_ || !task) {
    return;
  }
  computing_ = true;
  const Duration time = world_.dice().between(Duration{}, world_.scenario().compute_time);
  world_.after(host_, world_.pace(host_, time), [this, task = *task] {
    computing_ = false;
    const JobSpec& job = world_.job();
    auto values = std::make_shared<const Floats>(job.asynchronous()
                                                     ? exact_gradient(job, task.iteration, task.slice)
                                                     : gradient(job.seed, task.iteration, task.slice, *task.weights));
    Floats of_rows;
    for (std::uint32_t t = 0; t < job.tables.size(); ++t) {
      const Floats of_table = job.asynchronous()
                                  ? exact_row_gradient(job, task.iteration, task.slice, t)
                                  : row_gradient(job.seed, task.iteration, task.slice, t, task.rows->values(t));
      of_rows.insert(of_rows.end(), of_table.begin(), of_table.end());
    }
    ClientCore::Effects effects;
    client_.contribute(now(), task, values, effects, std::make_shared<const Floats>(std::move(of_rows)));
    if (job.asynchronous() && !effects.empty()) {
      world_.witness(&Checker::on_gradient, host_, task.iteration, task.slice, *values);
    }
    if (job.consistency == Consistency::ssp && client_.staleness().size() > job.staleness + 1) {
      violated("7 (an answer is within the bound)",
               host_.name + " has computed from weights that lack more iterations of a slice than the bound allows");
    }
    carry_out(effects);
  });
}

// ---- reports --------------------------------------------------------------------------------------------------------

void WorkerProcess::on_heard(const HeartbeatAnswer& answer) {
  if (answer.restore_epoch == lineage_) {
    timings_.erase(timings_.begin(), timings_.upper_bound(answer.timings_through));
    evaluations_.erase(evaluations_.begin(), evaluations_.upper_bound(answer.evaluations_through));
  }
}

/// The evaluations of a run take turns among the workers that compute anything.
bool WorkerProcess::is_mine(Iteration evaluation) const {
  const View& view = client_.view();
  std::set<std::uint32_t> at_work(view.slice_worker.begin(), view.slice_worker.end());
  at_work.erase(no_worker);
  const std::uint64_t interval = world_.job().evaluate_interval;
  if (at_work.empty()) {
    return false;
  }
  const auto turn = static_cast<std::ptrdiff_t>(evaluation.value / interval % at_work.size());
  return view.worker_index(host_.name) == *std::next(at_work.begin(), turn);
}

void WorkerProcess::report() {
  next_report_ = now() + world_.job().timeouts.request_timeout;
  Progress progress{lineage_, client_.view().epoch, {}, {}};
  const auto slices = client_.view().slices_of(host_.name);
  if (!slices.empty() && slices.front().value == 0) {
    for (const auto& [iteration, timing] : timings_) {
      progress.timings.push_back(timing);
    }
  }
  for (const auto& [iteration, evaluation] : evaluations_) {
    if (is_mine(iteration)) {
      progress.evaluations.push_back(evaluation);
    }
  }
  progress.staleness = client_.staleness();
  if (!progress.timings.empty() || !progress.evaluations.empty()) {
    send(std::move(progress));
  }
}

}  // namespace ringps::sim
